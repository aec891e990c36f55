//! How to check what a report says, without believing the software that wrote it.

use umbel_privacy::unit::Adjacency;

use super::html::Html;
use super::layout::part;
use super::run_summary::RunSummary;

/// The section.
pub(super) fn section_of(run: &RunSummary) -> Html {
    let hash = |hash: &str| Html::with("code", &[("class", "hash")], hash);
    let mut steps = Vec::new();
    if let Some(key) = &run.signing_key {
        steps.push(Html::from([
            Html::text("All of it at once: "),
            Html::element("code", "umbel verify RUN_DIR --key KEY"),
            Html::text(
                " reads the signed certificate in certificate.json and computes everything again. \
                 The key, which you should have from the coordinator and not from here, is ",
            ),
            hash(key),
            Html::text("."),
        ]));
    }
    if let Some(model) = &run.model_hash {
        steps.push(Html::from([
            Html::text("The model is the one that this page speaks of if the SHA-256 of "),
            Html::element("code", "model/model.safetensors"),
            Html::text(" is "),
            hash(model),
            Html::text("."),
        ]));
    }
    if let Some(head) = &run.ledger_head {
        steps.push(Html::from([
            Html::text(
                "Each entry of the ledger holds the hash of the one before, and the last one's \
                 was ",
            ),
            hash(head),
            Html::text(
                " when this page was written. An entry that was changed or removed since breaks \
                 that chain.",
            ),
        ]));
    }
    if let Some(command) = &run.account_command {
        steps.push(Html::from([
            Html::text("Epsilon of this run alone follows from the parameters above:"),
            Html::element("pre", Html::element("code", command)),
        ]));
    }
    steps.extend(independent_accountant(run));
    let steps: Html = steps
        .into_iter()
        .map(|step| Html::element("li", step))
        .collect();
    if steps.is_empty() {
        return part(
            "How to verify",
            Html::element("p", "This run left neither a model nor a ledger to check."),
        );
    }
    part("How to verify", Html::element("ol", steps))
}

/// The same computation by another project's accountant.
fn independent_accountant(run: &RunSummary) -> Option<Html> {
    let promise = run.privacy.promise.as_ref();
    let p = promise.filter(|promise| promise.adjacency == Adjacency::AddOrRemove)?;
    let (sigma, delta, draws) = (p.noise_multiplier, p.delta, p.draws);
    // `{:?}` writes the shortest digits that read back as the same number.
    let code = format!(
        "import dp_accounting\n\
         from dp_accounting import pld\n\n\
         noise = dp_accounting.GaussianDpEvent({sigma:?})\n\
         draw = dp_accounting.PoissonSampledDpEvent({:?}, noise)\n\
         accountant = pld.PLDAccountant()\n\
         accountant.compose(draw, {draws})\n\
         print(accountant.get_epsilon({delta:?}))",
        p.accounted_sampling_rate
    );
    Some(Html::from([
        Html::text("Another accountant computes it, too: Google's "),
        Html::element("code", "dp_accounting"),
        Html::text(" for Python:"),
        Html::element("pre", Html::element("code", code)),
    ]))
}
