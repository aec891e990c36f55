//! Who is asked to train in a round.

use umbel_privacy::poisson::poisson_sample;
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::message::ClientId;
use umbel_proto::plan::Plan;

use super::RunError;
use crate::config::ClientSection;

/// Whether cohorts are a Poisson draw of clients: only where the client is the unit.
fn samples_clients(plan: &Plan) -> bool {
    plan.hides_clients() && !plan.sampling_rate.is_all()
}

/// Everybody, or a Poisson draw of them where the client is the unit.
pub(super) fn draw(
    plan: &Plan,
    clients: &[ClientSection],
    round: u32,
    attempt: u32,
) -> Result<Vec<ClientId>, RunError> {
    if !samples_clients(plan) {
        return Ok(clients.iter().map(|client| client.name.clone()).collect());
    }
    let mut rng = randomness(plan, &format!("cohort/{round}/{attempt}"))?;
    let drawn = poisson_sample(clients.len(), plan.sampling_rate, &mut rng);
    Ok(drawn.into_iter().map(|i| clients[i].name.clone()).collect())
}

/// A generator for one purpose: from the operating system, or, in a seeded run, a stream
/// that no other purpose has.
pub(super) fn randomness(plan: &Plan, purpose: &str) -> Result<NoiseSource, RunError> {
    match plan.seed {
        Some(seed) => Ok(NoiseSource::seeded(seed, &format!("coordinator/{purpose}"))),
        None => NoiseSource::from_os().map_err(|e| RunError::Privacy(e.to_string())),
    }
}
