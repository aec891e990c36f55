//! Trying again: how often, for how long.

use std::time::Duration;

use tokio::time::Instant;
use umbel_proto::message::BlobDigest;

use super::ConnectionSettings;
use super::failure::Failure;
use crate::transport::TransportError;

/// How failed calls are repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long a call may fail, since it last made any progress, before it is given up.
    /// Default: ten minutes, which a coordinator needs for a restart.
    pub patience: Duration,
    /// The pause after the first failure; each further one is twice as long. Default: half
    /// a second.
    pub first_pause: Duration,
    /// The longest pause. Default: half a minute.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(600),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// Time, as far as waiting needs it.
pub(super) trait Timer {
    /// The time since some fixed moment.
    fn now(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, pause: Duration);
}

/// The time of this machine.
pub(super) struct RealTimer(Instant);

impl RealTimer {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Timer for RealTimer {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// A policy in use by one client.
pub(super) struct Retry {
    policy: RetryPolicy,
    address: String,
    /// Sets this client's pauses apart from those of all others, so that they don't come
    /// back all at once. Predictable, for it guards no secret.
    distinction: BlobDigest,
}

impl Retry {
    pub(super) fn new(policy: RetryPolicy, settings: &ConnectionSettings) -> Self {
        Self {
            policy,
            address: settings.address.clone(),
            distinction: BlobDigest::of(settings.distinction()),
        }
    }

    /// Makes attempts until one succeeds, one fails for good, or patience ends.
    pub(super) async fn persist<T>(
        &self,
        timer: &impl Timer,
        mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, TransportError> {
        let mut failures = 0;
        let mut failing_since: Option<Duration> = None;
        loop {
            let (reason, progressed) = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { reason, progressed }) => (reason, progressed),
            };
            if progressed {
                failures = 0;
                failing_since = None;
            }
            let pause = self.pause(failures);
            failures = failures.saturating_add(1);
            let now = timer.now();
            let failing_for = now.saturating_sub(*failing_since.get_or_insert(now));
            if failing_for.saturating_add(pause) > self.policy.patience {
                return Err(self.given_up(&reason));
            }
            tracing::warn!(
                reason,
                ?pause,
                "the coordinator can't be reached; trying again"
            );
            timer.sleep(pause).await;
        }
    }

    /// The pause after so many failures before: doubled each time, up to the longest, and
    /// then between a half and all of it.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = 1u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX);
        let whole = self.policy.first_pause.saturating_mul(doubled);
        let whole = whole.min(self.policy.longest_pause);
        let mut seed = self.distinction.as_bytes().to_vec();
        seed.extend(failures.to_le_bytes());
        let [jitter, ..] = *BlobDigest::of(&seed).as_bytes();
        whole.mul_f64(0.5 + f64::from(jitter) / 510.0)
    }

    fn given_up(&self, reason: &str) -> TransportError {
        TransportError::Unreachable {
            address: self.address.clone(),
            reason: format!(
                "{reason}; tried for {} seconds. Check the address, and that the coordinator \
                 is running",
                self.policy.patience.as_secs_f64()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbel_proto::message::Instance;

    use std::cell::Cell;

    use crate::grpc::ClientIdentity;

    fn retry(name: &str, patience: Duration) -> Retry {
        let name = ClientIdentity::Name(name.parse().unwrap());
        let policy = RetryPolicy {
            patience,
            ..RetryPolicy::default()
        };
        Retry::new(
            policy,
            &ConnectionSettings::new("http://localhost:1", name, Instance(1)),
        )
    }

    /// Time that passes only by sleeping.
    #[derive(Default)]
    struct Slept(Cell<Duration>);

    impl Timer for Slept {
        fn now(&self) -> Duration {
            self.0.get()
        }

        async fn sleep(&self, pause: Duration) {
            self.0.set(self.0.get() + pause);
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_at_most_halved() {
        let retry = retry("north", Duration::MAX);
        for (failures, whole) in [(0, 0.5), (1, 1.0), (5, 16.0), (6, 30.0), (u32::MAX, 30.0)] {
            let pause = retry.pause(failures).as_secs_f64();
            assert!(
                (whole / 2.0..=whole).contains(&pause),
                "{failures}: {pause}"
            );
        }
    }

    #[test]
    fn clients_pause_differently() {
        let [north, south] = ["north", "south"].map(|name| retry(name, Duration::MAX));
        assert_ne!(north.pause(3), south.pause(3));
    }

    #[test]
    fn a_passing_failure_is_tried_again_until_it_passes() {
        let mut attempts = 0;
        let retry = retry("north", Duration::from_secs(600));
        let result = run(retry.persist(&Slept::default(), async || {
            attempts += 1;
            if attempts < 5 {
                return Err(Failure::passing("gone"));
            }
            Ok(attempts)
        }));
        assert_eq!(result.unwrap(), 5);
    }

    #[test]
    fn a_final_failure_is_not_tried_again() {
        let mut attempts = 0;
        let retry = retry("north", Duration::MAX);
        let result: Result<(), _> = run(retry.persist(&Slept::default(), async || {
            attempts += 1;
            Err(Failure::garbled("nonsense"))
        }));
        assert!(matches!(result, Err(TransportError::Garbled { .. })));
        assert_eq!(attempts, 1);
    }

    #[test]
    fn patience_ends() {
        let time = Slept::default();
        let retry = retry("north", Duration::from_secs(60));
        let result: Result<(), _> =
            run(retry.persist(&time, async || Err(Failure::passing("connection refused"))));
        // The pause that would have led beyond it isn't made; none is longer than 30 seconds.
        assert!(
            (30..=60).contains(&time.now().as_secs()),
            "{:?}",
            time.now()
        );
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("connection refused; tried for 60 seconds"),
            "{error}"
        );
    }

    #[test]
    fn progress_restores_patience() {
        let mut attempts = 0;
        let retry = retry("north", Duration::from_secs(2));
        let result = run(retry.persist(&Slept::default(), async || {
            attempts += 1;
            if attempts == 100 {
                return Ok(());
            }
            Err(Failure::Passing {
                reason: "broken".into(),
                progressed: true,
            })
        }));
        assert!(result.is_ok());
    }
}
