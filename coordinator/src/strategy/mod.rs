//! What the server makes of a round's mean: one file a strategy.
//!
//! A strategy sees the mean of a round after its noise, so that whatever it does is
//! post-processing and costs nothing. A new one is a new file with its [`StrategyKind`], and a
//! line in [`ALL`].

mod adam;
pub(crate) mod average;
mod fed_adagrad;
mod fed_adam;
mod fed_avg;
mod fed_avg_m;
mod fed_yogi;
mod kind;
mod scaffold;
pub(crate) mod schedule;

use std::sync::Arc;

use rayon::prelude::*;

pub use kind::{
    Given, InvalidKey, Key, Keys, Range, StrategyKind, UnknownStrategy, deserialize, schema,
};

/// Parameters that a thread moves at a time.
pub(crate) const STRETCH: usize = 1 << 14;

/// The strategies that there are, by the names that `server.optimiser` may have.
pub const ALL: &[&StrategyKind] = &[
    &fed_avg::KIND,
    &fed_avg_m::KIND,
    &adam::KIND,
    &fed_adam::KIND,
    &fed_yogi::KIND,
    &fed_adagrad::KIND,
    &scaffold::KIND,
];

/// The server's rule, with what it remembers of earlier rounds.
pub trait Strategy: Send {
    /// Moves the parameters down `gradient`, a round's mean: of gradients, or of what clients'
    /// parameters are to lose. Both have the length that the strategy was made for. Under privacy
    /// they are noised.
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step);

    /// What clients are told with the parameters, as long as these: the server's control variate,
    /// for a strategy that has one.
    fn variate(&self) -> Option<&[f64]> {
        None
    }

    /// What it remembers, so that a run can be taken up again with the same bits.
    fn state(&self) -> State;

    /// Goes on from what was remembered.
    ///
    /// # Errors
    /// [`ForeignState`] for another strategy's state, or one for other parameters.
    fn restore(&mut self, state: State) -> Result<(), ForeignState>;
}

/// What a step goes by, beside its direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The server's learning rate in this round.
    pub learning_rate: f64,
    /// The share of the run's clients whose updates are in the mean. `None` under privacy, where
    /// nobody's part may move anything but the noised mean itself.
    pub share: Option<f64>,
    /// How far the clients' own steps go down a gradient of length one
    /// ([`umbel_proto::control_variates::reach`]); `None` where they take none.
    pub reach: Option<f64>,
}

/// Moves numbers, one for each parameter, by what a round has for each and by moments: a rule for a
/// stretch of them, on all threads. All have one length.
///
/// The rule has the loop. It isn't called for each parameter: such calls would cost more than the
/// arithmetic.
pub(crate) fn in_stretches<Moved: Send, By: Sync, const N: usize>(
    moved: &mut [Moved],
    by: &[By],
    moments: [&mut [f64]; N],
    rule: impl Fn(&mut [Moved], &[By], [&mut [f64]; N]) + Sync,
) {
    let mut moments = moments.map(|moment| moment.chunks_mut(STRETCH));
    let both = moved.chunks_mut(STRETCH).zip(by.chunks(STRETCH));
    let stretches = both.map(|(moved, by)| {
        let there = moments.each_mut().map(|moment| moment.next());
        (moved, by, there.map(Option::unwrap_or_default))
    });
    let stretches: Vec<_> = stretches.collect();
    let all = stretches.into_par_iter();
    all.for_each(|(moved, by, moments)| rule(moved, by, moments));
}

/// What a strategy remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Steps taken.
    pub steps: u64,
    /// Numbers for each parameter: a mean, squares, or both. A copy of the state shares them until
    /// the next step, so that storing it takes no memory of its own.
    pub moments: Vec<Arc<Vec<f64>>>,
}

/// A state that belongs to something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored state of the server's optimiser has {found:?} numbers for each parameter, and \
     {expected:?} are expected: it belongs to another optimiser or model"
)]
pub struct ForeignState {
    found: Vec<usize>,
    expected: Vec<usize>,
}

impl State {
    /// An empty memory of so many numbers for each of these parameters.
    fn zeros(moments: usize, parameters: usize) -> Self {
        Self {
            steps: 0,
            moments: (0..moments)
                .map(|_| Arc::new(vec![0.0; parameters]))
                .collect(),
        }
    }

    /// All numbers, for writing; `None` unless there are `N` for each parameter.
    fn moments_mut<const N: usize>(&mut self) -> Option<[&mut [f64]; N]> {
        let moments = self
            .moments
            .iter_mut()
            .map(|moment| Arc::make_mut(moment).as_mut_slice());
        moments.collect::<Vec<_>>().try_into().ok()
    }

    /// Takes over another state of the same shape.
    fn replace(&mut self, by: Self) -> Result<(), ForeignState> {
        let shape = |state: &Self| {
            state
                .moments
                .iter()
                .map(|moment| moment.len())
                .collect::<Vec<_>>()
        };
        let (found, expected) = (shape(&by), shape(self));
        if found != expected {
            return Err(ForeignState { found, expected });
        }
        *self = by;
        Ok(())
    }
}

/// The strategy of this name.
///
/// # Errors
/// [`UnknownStrategy`] names those that there are.
pub fn named(name: &str) -> Result<&'static StrategyKind, UnknownStrategy> {
    let mut all = ALL.iter().copied();
    all.find(|kind| kind.name == name)
        .ok_or_else(|| UnknownStrategy::new(name))
}

#[cfg(test)]
#[path = "strategy_tests.rs"]
mod tests;
