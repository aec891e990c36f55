//! How far this machine's clock and the coordinator's are apart.
//!
//! Certificates begin and end by these clocks, and both ledgers date their entries by them. No guarantee
//! depends on them, so that a clock may jump while a run goes on. But a site doesn't begin while one of
//! the two is plainly wrong.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Clocks further apart than this are worth a warning.
pub const WORTH_A_WARNING: Duration = Duration::from_secs(60);
/// Clocks further apart than this keep a site from being ready: a ledger's dates would mislead whoever
/// reads them. It is as much as a clock that was set in a neighbouring time zone is off.
pub const MOST_APART: Duration = Duration::from_secs(3600);
/// How long a site waits before it looks at the clocks again.
const AGAIN: Duration = Duration::from_secs(30);

/// What two clocks said when an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The coordinator's, to the second.
    pub coordinator: SystemTime,
    /// This machine's.
    pub own: SystemTime,
}

impl ClockReading {
    /// How far the two are apart, whichever is ahead.
    pub fn apart(&self) -> Duration {
        self.difference().1
    }

    /// How many seconds this machine's clock is ahead; below zero if it is behind.
    pub fn seconds_ahead(&self) -> f64 {
        match self.difference() {
            (Side::Ahead, apart) => apart.as_secs() as f64,
            (Side::Behind, apart) => -(apart.as_secs() as f64),
        }
    }

    fn difference(&self) -> (Side, Duration) {
        match self.own.duration_since(self.coordinator) {
            Ok(ahead) => (Side::Ahead, ahead),
            Err(behind) => (Side::Behind, behind.duration()),
        }
    }
}

/// "15 seconds ahead of the coordinator's".
impl fmt::Display for ClockReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, apart) = self.difference();
        let word = match side {
            Side::Ahead => "ahead of",
            Side::Behind => "behind",
        };
        write!(f, "{} seconds {word} the coordinator's", apart.as_secs())
    }
}

enum Side {
    Ahead,
    Behind,
}

/// Makes a call until its answer shows clocks that are at most [`MOST_APART`] apart, and waits in between.
/// `read` says what they show, or `None` if the coordinator doesn't tell its time.
///
/// # Errors
/// What `call` says.
pub fn once_close<P: ?Sized, T, E>(
    place: &mut P,
    mut call: impl FnMut(&mut P) -> Result<T, E>,
    read: impl Fn(&P) -> Option<ClockReading>,
    mut pause: impl FnMut(&mut P, Duration),
) -> Result<T, E> {
    loop {
        let answer = call(place)?;
        match read(place) {
            Some(reading) if reading.apart() > MOST_APART => tracing::warn!(
                "this machine's clock is {reading}. Set whichever is wrong: until then this site takes \
                 no part, and pays nothing"
            ),
            _ => return Ok(answer),
        }
        pause(place, AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(coordinator: u64, own: u64) -> ClockReading {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        ClockReading {
            coordinator: at(coordinator),
            own: at(own),
        }
    }

    #[test]
    fn a_difference_is_told_from_this_machines_side() {
        assert_eq!(
            reading(100, 115).to_string(),
            "15 seconds ahead of the coordinator's"
        );
        assert_eq!(reading(100, 115).seconds_ahead(), 15.0);
        assert_eq!(
            reading(100, 40).to_string(),
            "60 seconds behind the coordinator's"
        );
        assert_eq!(reading(100, 40).seconds_ahead(), -60.0);
    }

    /// Joins with clocks that show `looks` one after another; how often it joined and waited.
    fn joined(looks: &[Option<ClockReading>]) -> (usize, usize) {
        let mut place = (0, 0);
        let joined = once_close(
            &mut place,
            |(calls, _)| {
                *calls += 1;
                Ok::<(), ()>(())
            },
            |(calls, _)| looks[calls - 1],
            |(_, pauses), _| *pauses += 1,
        );
        assert_eq!(joined, Ok(()));
        place
    }

    #[test]
    fn a_site_joins_again_until_the_clocks_are_close_whichever_was_wrong() {
        let far = [reading(0, 86_400), reading(86_400, 0)];
        let close = [reading(0, 3600), reading(3600, 0)];
        for (far, close) in std::iter::zip(far, close) {
            assert_eq!(joined(&[Some(close)]), (1, 0));
            assert_eq!(joined(&[Some(far), Some(far), Some(close)]), (3, 2));
        }
    }

    #[test]
    fn a_coordinator_that_tells_no_time_is_not_waited_for() {
        assert_eq!(joined(&[None]), (1, 0));
    }

    #[test]
    fn a_coordinator_that_refuses_ends_the_waiting() {
        let mut calls = 0;
        let refused = once_close(
            &mut calls,
            |calls| {
                *calls += 1;
                if *calls == 2 { Err("gone") } else { Ok(()) }
            },
            |_| Some(reading(0, 86_400)),
            |_, _| {},
        );
        assert_eq!(refused, Err("gone"));
    }
}
