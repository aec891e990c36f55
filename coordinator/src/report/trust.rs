//! Whom one has to trust, what secures a run, and what it can't know of how data were collected.

use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};

use super::html::Html;
use super::layout::section;
use super::run_summary::RunSummary;

/// Trust model, security, data collection: a few sentences each.
pub(super) fn sections(run: &RunSummary) -> Html {
    [
        section("Trust model", paragraphs(&trust(run))),
        section("Security", paragraphs(&security(run))),
        section("Data collection", paragraphs(&collection(run))),
    ]
    .into()
}

fn paragraphs(lines: &[String]) -> Html {
    lines.iter().map(|line| Html::element("p", line)).collect()
}

fn trust(run: &RunSummary) -> Vec<String> {
    let promise = run.privacy.promise.as_ref();
    let seen = match promise.map(|promise| promise.placement) {
        None => "No noise was added, so everybody who sees an update or a model \
                                   has to be trusted."
            .to_owned(),
        Some(NoisePlacement::Central) => "The coordinator adds the noise (central). It is trusted \
                                         with what each site sends, to add the noise that it says, \
                                         and to keep both to itself. Nobody else has to be trusted."
            .into(),
        Some(NoisePlacement::Local) => "Each site adds its own noise before it sends anything \
                                       (local). Neither the coordinator nor other sites have to be \
                                       trusted."
            .into(),
    };
    let own = "Each site reads its own table, keeps its own ledger, and refuses what its own policy \
               or budget doesn't allow, whatever the coordinator asks for.";
    vec![seen, own.into()]
}

fn security(run: &RunSummary) -> Vec<String> {
    let randomness = match run.privacy.seeded {
        true => "Randomness came from a seed: whoever knows it can compute the noise.",
        false => {
            "Noise and sampling are drawn from the operating system's cryptographic randomness, on \
             whole numbers, so that no rounding of floats shows what was hidden."
        }
    };
    let ledger = "What a round costs is written to the ledger, and synced, before its result leaves; \
                  each entry holds the hash of the one before. The certificate names every released \
                  file by its SHA-256 and is signed.";
    vec![randomness.into(), ledger.into()]
}

fn collection(run: &RunSummary) -> Vec<String> {
    let own = "Tables stayed where they were. How they were collected, on what legal ground, who may \
               read them there, and how long they are kept is for each site to answer; this software \
               doesn't know.";
    let unit = |unit: PrivacyUnit| match unit {
        PrivacyUnit::Record => {
            "One row is protected at a time. Whoever may have several rows is protected less than \
             epsilon says."
        }
        PrivacyUnit::Group => {
            "All rows of one group at one site are protected together, as far as the column of \
             groups tells them apart."
        }
        PrivacyUnit::Client => "All rows of one client are protected together.",
    };
    let promise = run.privacy.promise.as_ref();
    let mut lines = vec![own.to_owned()];
    lines.extend(promise.map(|promise| unit(promise.unit).to_owned()));
    lines
}
