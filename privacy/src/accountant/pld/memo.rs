//! Answers to be given again: in one process, several ledgers ask for the same epsilon.
//!
//! Epsilon is a function of what was composed and of δ, so that an answer remembered is the
//! answer computed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::accountant::Delta;
use crate::accountant::mechanisms::Mechanism;
use crate::unit::Adjacency;

/// Everything that an epsilon depends on.
pub(super) type Question = (Adjacency, u64, Vec<(Mechanism, u64)>);

/// Answers that are remembered at a time. A run asks for few different ones at once: what was
/// spent, and what one round more would make of it.
const MOST: usize = 256;

/// Answers by question, with the turn in which each was last given.
struct Memo {
    answers: BTreeMap<Question, (f64, u64)>,
    turn: u64,
}

static MEMO: Mutex<Memo> = Mutex::new(Memo {
    answers: BTreeMap::new(),
    turn: 0,
});

/// The question of `counts` at `delta`.
pub(super) fn question(
    adjacency: Adjacency,
    counts: &BTreeMap<Mechanism, u64>,
    delta: Delta,
) -> Question {
    let counts = counts.iter().map(|(mechanism, count)| (*mechanism, *count));
    (adjacency, delta.get().to_bits(), counts.collect())
}

/// The answer that was given before, or else the computed one.
pub(super) fn answer(question: Question, compute: impl FnOnce() -> f64) -> f64 {
    let known = MEMO
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .find(&question);
    known.unwrap_or_else(|| {
        // Not under the lock: others' questions needn't wait for this one.
        let answer = compute();
        let mut memo = MEMO.lock().unwrap_or_else(PoisonError::into_inner);
        memo.remember(question, answer);
        answer
    })
}

impl Memo {
    fn find(&mut self, question: &Question) -> Option<f64> {
        self.turn += 1;
        let (answer, last) = self.answers.get_mut(question)?;
        *last = self.turn;
        Some(*answer)
    }

    fn remember(&mut self, question: Question, answer: f64) {
        if self.answers.len() >= MOST {
            let oldest = self.answers.iter().min_by_key(|(_, (_, turn))| *turn);
            let oldest = oldest.map(|(question, _)| question.clone());
            oldest.map(|question| self.answers.remove(&question));
        }
        self.answers.insert(question, (answer, self.turn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(delta: f64) -> Question {
        let delta = Delta::try_from(delta).unwrap();
        question(Adjacency::ZeroOut, &BTreeMap::new(), delta)
    }

    #[test]
    fn a_question_is_answered_once_and_others_on_their_own() {
        assert_eq!(answer(asking(0.123), || 7.0), 7.0);
        assert_eq!(answer(asking(0.123), || unreachable!("it is known")), 7.0);
        assert_eq!(answer(asking(0.124), || 8.0), 8.0);
    }

    #[test]
    fn what_was_not_asked_for_longest_is_forgotten_first() {
        let mut memo = Memo {
            answers: BTreeMap::new(),
            turn: 0,
        };
        let number = |i: usize| asking((i + 1) as f64 / 1000.0);
        for i in 0..MOST {
            assert_eq!(memo.find(&number(i)), None);
            memo.remember(number(i), i as f64);
        }
        assert_eq!(memo.find(&number(0)), Some(0.0));
        memo.remember(number(MOST), 1.0);
        assert_eq!(memo.answers.len(), MOST);
        assert_eq!(memo.find(&number(0)), Some(0.0));
        assert_eq!(memo.find(&number(1)), None);
    }
}
