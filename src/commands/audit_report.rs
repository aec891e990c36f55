//! What `umbel audit` says: a table or JSON, and the sentence that it ends with.

use serde::Serialize;
use umbel::failure::Failure;
use umbel_privacy::accountant::Delta;
use umbel_privacy::accountant::event::NoiseMultiplier;
use umbel_privacy::audit::{AuditFinding, AuditSettings, ClientEstimate, Confidence, Verdict};
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_proto::exit_code::ExitKind;

use super::account::rounded_up;

/// What was found, a line a subject.
pub(super) fn table(
    settings: &AuditSettings,
    finding: &AuditFinding,
    estimate: Option<ClientEstimate>,
) -> String {
    let mechanism = &settings.mechanism;
    let (guesses, plan) = (finding.guesses, finding.plan);
    let notice = match finding.plan.notices_halved_noise {
        true => "which would be noticed (probability 0.99)",
        false => "which may go unnoticed: use more canaries, or fewer rounds with more noise",
    };
    let mut lines = vec![
        format!(
            "mechanism        rounds {}, noise multiplier {:.6}, sampling rate {}, unit {}, {} noise",
            mechanism.rounds,
            mechanism.noise_multiplier.get(),
            mechanism.sampling_rate,
            mechanism.unit,
            mechanism.placement,
        ),
        format!(
            "claimed epsilon  {:.6} at delta {} (accountant pld, adjacency {})",
            rounded_up(finding.claimed.get()),
            settings.delta,
            mechanism.adjacency,
        ),
        format!(
            "lower bound      {:.6} with confidence {} ({} of {} guesses about {} canaries right)",
            finding.lower_bound,
            settings.confidence,
            guesses.correct(),
            guesses.made(),
            guesses.canaries(),
        ),
        format!(
            "power            {:.3} expected of a mechanism that loses all that is claimed",
            plan.expected_bound,
        ),
        format!(
            "                 {:.3} expected with halved noise, {notice}",
            plan.with_halved_noise,
        ),
        format!(
            "charged          {} of {} releases",
            finding.charged, finding.released
        ),
    ];
    if let Some(estimate) = estimate {
        let epsilon = match estimate.epsilon {
            Some(epsilon) => format!("{epsilon:.3}"),
            None => "none".into(),
        };
        lines.push(format!(
            "estimate         {epsilon} from {} random canary clients: no bound, it may be too \
             high or too low",
            estimate.clients
        ));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The sentence that an audit ends with; a failure if it contradicts the claim.
pub(super) fn conclusion(
    settings: &AuditSettings,
    finding: &AuditFinding,
) -> Result<String, Failure> {
    let claimed = rounded_up(finding.claimed.get());
    let contradicted = |reason: String| Err(Failure::new(ExitKind::NotVerified, reason));
    match finding.verdict() {
        Verdict::NotContradicted => Ok(format!(
            "Not contradicted: this run shows that at least {:.3} is lost, and at most {claimed:.3} \
             is claimed. That proves no claim; the accountant does.",
            finding.lower_bound
        )),
        Verdict::BoundAboveClaim => contradicted(format!(
            "the audit contradicts the claim: at least epsilon {:.6} is lost (confidence {}), and \
             the accountant says at most {claimed:.6} at delta {}; don't train with this build, \
             and audit it again with another seed",
            finding.lower_bound, settings.confidence, settings.delta,
        )),
        Verdict::Uncharged => contradicted(format!(
            "{} noisy sums were released, and the ledger was charged for {}; don't train with \
             this build",
            finding.released, finding.charged
        )),
    }
}

#[derive(Serialize)]
pub(super) struct Answer {
    contradicted: bool,
    /// `null` where the accountant's epsilon is infinite.
    claimed_epsilon: f64,
    lower_bound: f64,
    confidence: Confidence,
    delta: Delta,
    canaries: u64,
    guesses: u64,
    correct: u64,
    expected_bound: f64,
    expected_bound_with_halved_noise: f64,
    notices_halved_noise: bool,
    released: u64,
    charged: u64,
    /// An estimate, no bound; `null` but for the unit client.
    client_estimate: Option<f64>,
    noise_multiplier: NoiseMultiplier,
    sampling_rate: SamplingRate,
    rounds: u64,
    clipping_norm: ClippingNorm,
    unit: PrivacyUnit,
    noise: NoisePlacement,
    adjacency: Adjacency,
    accountant: &'static str,
    seed: Option<u64>,
    seconds: f64,
}

impl Answer {
    pub(super) fn new(
        settings: &AuditSettings,
        finding: &AuditFinding,
        estimate: Option<ClientEstimate>,
        seed: Option<u64>,
        seconds: f64,
    ) -> Self {
        let mechanism = &settings.mechanism;
        Self {
            contradicted: finding.verdict() != Verdict::NotContradicted,
            claimed_epsilon: finding.claimed.get(),
            lower_bound: finding.lower_bound,
            confidence: settings.confidence,
            delta: settings.delta,
            canaries: finding.guesses.canaries(),
            guesses: finding.guesses.made(),
            correct: finding.guesses.correct(),
            expected_bound: finding.plan.expected_bound,
            expected_bound_with_halved_noise: finding.plan.with_halved_noise,
            notices_halved_noise: finding.plan.notices_halved_noise,
            released: finding.released,
            charged: finding.charged,
            client_estimate: estimate.and_then(|estimate| estimate.epsilon),
            noise_multiplier: mechanism.noise_multiplier,
            sampling_rate: mechanism.sampling_rate,
            rounds: mechanism.rounds,
            clipping_norm: mechanism.clipping_norm,
            unit: mechanism.unit,
            noise: mechanism.placement,
            adjacency: mechanism.adjacency,
            accountant: "pld",
            seed,
            seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbel_privacy::accountant::Epsilon;
    use umbel_privacy::audit::{AuditedMechanism, Guesses, GuessingPlan};

    fn settings() -> AuditSettings {
        AuditSettings {
            mechanism: AuditedMechanism {
                noise_multiplier: NoiseMultiplier::try_from(1.0).unwrap(),
                sampling_rate: SamplingRate::ALL,
                rounds: 1,
                clipping_norm: ClippingNorm::try_from(1.0).unwrap(),
                unit: PrivacyUnit::Record,
                placement: NoisePlacement::Central,
                adjacency: Adjacency::AddOrRemove,
            },
            delta: Delta::try_from(1e-5).unwrap(),
            canaries: 1000,
            confidence: Confidence::try_from(0.95).unwrap(),
        }
    }

    fn finding(claimed: f64, lower_bound: f64, charged: u64) -> AuditFinding {
        AuditFinding {
            claimed: Epsilon::at_least_zero(claimed),
            lower_bound,
            plan: GuessingPlan {
                guesses: 10,
                expected_bound: 1.0,
                with_halved_noise: 5.0,
                notices_halved_noise: true,
            },
            guesses: Guesses::new(1000, 10, 10).unwrap(),
            released: 1,
            charged,
        }
    }

    #[test]
    fn a_bound_above_the_claim_ends_with_a_sentence_and_an_exit_code_of_its_own() {
        let failure = conclusion(&settings(), &finding(4.0, 4.5, 1)).unwrap_err();
        assert_eq!(failure.kind, ExitKind::NotVerified);
        assert!(failure.message.contains("contradicts the claim"));
        assert!(failure.message.contains("4.500000") && failure.message.contains("4.000000"));
    }

    #[test]
    fn a_release_that_was_not_charged_ends_with_another() {
        let failure = conclusion(&settings(), &finding(4.0, 1.0, 0)).unwrap_err();
        assert_eq!(failure.kind, ExitKind::NotVerified);
        assert!(failure.message.contains("charged for 0"));
    }

    #[test]
    fn a_bound_at_or_below_the_claim_is_no_failure_and_no_proof_either() {
        for (claimed, bound) in [(4.0, 4.0), (f64::INFINITY, 9.0), (4.0, 0.0)] {
            let sentence = conclusion(&settings(), &finding(claimed, bound, 1)).unwrap();
            assert!(sentence.contains("proves no claim"), "{sentence}");
        }
    }
}
