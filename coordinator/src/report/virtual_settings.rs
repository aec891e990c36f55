//! What a report lists of the settings of virtual time.

use crate::config::RunConfig;

/// How clients were drawn, and when rounds close; nothing of a run in the machine's own time.
pub(super) fn settings(config: &RunConfig) -> Vec<(String, String)> {
    let Some(drawn) = &config.simulation else {
        return Vec::new();
    };
    let federation = &config.federation;
    let deadline = federation.round_seconds;
    let closes = match federation.quorum_percent {
        Some(percent) => format!(
            "{} times as long after {percent} % of the updates, or after {deadline} s",
            federation.grace
        ),
        None => format!("after {deadline} s"),
    };
    let training = format!(
        "median {} s, spread {}, from round to round {}",
        drawn.training_seconds, drawn.training_spread, drawn.round_spread
    );
    let delay = format!(
        "median {} s, spread {}",
        drawn.delay_seconds, drawn.delay_spread
    );
    let there = format!("{}, of whom {} drop out", drawn.available, drawn.drop_out);
    [
        ("a round closes", closes),
        ("virtual training", training),
        ("virtual delay", delay),
        ("clients that are there", there),
        ("seed of virtual time", drawn.seed.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
