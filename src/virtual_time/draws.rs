//! How long clients take, and which of them are there, drawn by a seed.
//!
//! Each draw has a stream of its own, named by its client, round and attempt, so that nothing depends
//! on the order in which clients are asked.

use std::time::Duration;

use rand::RngExt as _;
use rand_distr::{Distribution as _, StandardNormal};
use umbel_coordinator::config::{SimulationSection, Spread};
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::message::ClientId;

/// No time is longer: some thirty years.
const LONGEST: f64 = 1e9;

/// One client's part in one attempt at a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// How long it trains.
    pub(super) training: Duration,
    /// How long parameters and update are on their way.
    pub(super) delay: Duration,
    /// After how long it drops out, if it does.
    pub(super) drops_out: Option<Duration>,
}

/// Draws them.
pub(super) struct Draws(pub(super) SimulationSection);

impl Draws {
    /// Whether a client is there when an attempt is opened; `minute`: of the pause before it.
    pub(super) fn is_there(
        &self,
        client: &ClientId,
        (round, attempt): (u32, u32),
        minute: Option<u64>,
    ) -> bool {
        let minute = minute.map_or(String::new(), |minute| format!("/{minute}"));
        let mut rng = self.stream(&format!("there/{round}/{attempt}{minute}/{client}"));
        rng.random::<f64>() < self.0.available.get()
    }

    /// What an attempt that is begun comes to.
    pub(super) fn part(&self, client: &ClientId, (round, attempt): (u32, u32)) -> Part {
        let settings = &self.0;
        let own = factor(
            settings.training_spread,
            &mut self.stream(&format!("speed/{client}")),
        );
        let mut rng = self.stream(&format!("part/{round}/{attempt}/{client}"));
        let now = factor(settings.round_spread, &mut rng);
        let on_the_way = factor(settings.delay_spread, &mut rng);
        let training = settings.training_seconds.get() * own * now;
        let (drops_out, when) = (rng.random::<f64>(), rng.random::<f64>());
        let drops_out = drops_out < settings.drop_out.get();
        Part {
            training: time(training),
            delay: time(settings.delay_seconds.get() * on_the_way),
            drops_out: drops_out.then(|| time(training * when)),
        }
    }

    fn stream(&self, of: &str) -> NoiseSource {
        NoiseSource::seeded(self.0.seed, &format!("simulation/{of}"))
    }
}

/// A log-normal number with median 1.
fn factor(spread: Spread, rng: &mut NoiseSource) -> f64 {
    let normal: f64 = StandardNormal.sample(rng);
    (spread.get() * normal).exp()
}

/// To the microsecond.
fn time(seconds: f64) -> Duration {
    Duration::from_micros((seconds.min(LONGEST) * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(settings: &str) -> Draws {
        let settings = format!("training_seconds = 60.0\n{settings}");
        Draws(toml::from_str(&settings).expect("settings"))
    }

    fn client(i: usize) -> ClientId {
        format!("c{i}").parse().expect("a name")
    }

    fn sorted_minutes(draws: &Draws, key: (u32, u32)) -> Vec<f64> {
        let part = |i| draws.part(&client(i), key).training.as_secs_f64() / 60.0;
        let mut minutes: Vec<f64> = (0..4000).map(part).collect();
        minutes.sort_by(f64::total_cmp);
        minutes
    }

    #[test]
    fn times_are_log_normal_around_their_median() {
        let minutes = sorted_minutes(&draws("training_spread = 0.5"), (1, 0));
        // Quantiles of 4,000 draws; a standard error is below 0.03 here.
        for (share, expected) in [
            (0.5, 1.0),
            (0.1587, (-0.5f64).exp()),
            (0.8413, 0.5f64.exp()),
        ] {
            let found = minutes[(share * 4000.0) as usize];
            assert!((found - expected).abs() < 0.15, "{share}: {found}");
        }
    }

    #[test]
    fn a_client_keeps_its_speed_unless_rounds_differ() {
        let one = draws("training_spread = 1.0");
        let training = |draws: &Draws, round| draws.part(&client(3), (round, 0)).training;
        assert_eq!(training(&one, 1), training(&one, 2));
        let rounds = draws("training_spread = 1.0\nround_spread = 0.1");
        assert_ne!(training(&rounds, 1), training(&rounds, 2));
        assert_ne!(
            training(&one, 1),
            training(&draws("training_spread = 1.0\nseed = 1"), 1)
        );
    }

    #[test]
    fn as_many_drop_out_and_are_there_as_was_said() {
        let draws = draws("drop_out = 0.05\navailable = 0.8");
        let parts = (0..4000).map(|i| draws.part(&client(i), (1, 0)));
        let dropped = parts.filter(|part| part.drops_out.is_some()).count();
        assert!((140..260).contains(&dropped), "{dropped} of about 200");
        let there = (0..4000).filter(|i| draws.is_there(&client(*i), (1, 0), None));
        let there = there.count();
        assert!((3080..3320).contains(&there), "{there} of about 3200");
    }

    #[test]
    fn the_largest_times_that_can_be_asked_for_are_times() {
        let mut widest = draws("training_spread = 3.0\nround_spread = 3.0\ndelay_spread = 3.0");
        widest.0.training_seconds = 1e6.try_into().expect("in range");
        widest.0.delay_seconds = 1e6.try_into().expect("in range");
        for i in 0..1000 {
            let part = widest.part(&client(i), (1, 0));
            assert!(part.training <= Duration::from_secs(1_000_000_000));
        }
    }
}
