//! A certificate as a page for people: a privacy officer should need nothing else to know
//! what was promised, what it cost, and how to check it.

use umbel_privacy::certificate::{Certificate, Guarantee};

use super::about;
use super::figures;
use super::html::Html;
use super::layout::{number, parameters, part, table};
use super::page;
use super::protection::Statement;
use super::run_summary::RunSummary;
use super::strength_section;
use crate::store::run_folder::readable_time;

/// The whole document.
pub(super) fn document(certificate: &Certificate, run: &RunSummary) -> String {
    let title = format!("Privacy certificate of run {}", certificate.run.id);
    let main: Html = [
        Html::element("h1", title.as_str()),
        page::protection(&Statement::of_run(run)),
        about::about(run),
        spent(certificate),
        strength_section::part_of(run),
        mechanism(certificate),
        participation(certificate),
        released(certificate),
        checking(certificate),
        about::signatures(),
        footer(certificate),
    ]
    .into();
    page::framed(&title, main)
}

/// What was spent, in words.
fn spent(certificate: &Certificate) -> Html {
    let Some(guarantee) = &certificate.guarantee else {
        return part(
            "What it cost",
            Html::element(
                "p",
                "Nothing was recorded, since nothing was protected: there is no epsilon.",
            ),
        );
    };
    let figure = |epsilon: Option<f64>| epsilon.map_or("unbounded".into(), figures::epsilon);
    let rows = vec![
        (
            "epsilon of everything recorded on the data set, base model included",
            format!(
                "{} of {} allowed",
                figure(guarantee.total.epsilon),
                figures::parameter(guarantee.budget_epsilon)
            ),
        ),
        (
            "epsilon without what the base model cost before",
            figure(guarantee.data_set.epsilon),
        ),
        ("epsilon of this run alone", figure(guarantee.run.epsilon)),
        ("delta", figures::parameter(guarantee.delta.get())),
        ("data set", certificate.ledger.data_set.clone()),
        ("unit", guarantee.unit.to_string()),
        ("adjacency", guarantee.adjacency.to_string()),
        (
            "computed by",
            format!(
                "accountant {} {}, an upper bound",
                guarantee.accountant.name, guarantee.accountant.version
            ),
        ),
    ];
    let several = guarantee.total.events != guarantee.run.events;
    let words = match several {
        true => {
            "Several runs used these rows. What holds over all of them is the budget, which the \
             filter between runs keeps; the first figure says how much of it is spent so far, as \
             far as this coordinator's ledger knows. That figure alone is no guarantee."
        }
        false => {
            "The first figure is the one that counts: this run is the only one on these rows \
                  that this coordinator's ledger knows of."
        }
    };
    let words = Html::element("p", words);
    part(
        "What it cost",
        [words, parameters("Epsilon, rounded up.", rows)],
    )
}

/// How the guarantee was made.
fn mechanism(certificate: &Certificate) -> Html {
    let run = &certificate.run;
    let mut rows = vec![
        ("ending", run.ending.clone()),
        (
            "rounds released",
            format!(
                "{} of {}",
                figures::count(run.rounds_released),
                figures::count(run.rounds_planned)
            ),
        ),
    ];
    rows.push(("base model", base_model(certificate)));
    if let Some(guarantee) = &certificate.guarantee {
        rows.extend(mechanism_rows(guarantee));
    }
    part(
        "How it was done",
        parameters("What the ledger's entries say, too.", rows),
    )
}

/// Where the base model came from.
fn base_model(certificate: &Certificate) -> String {
    let weights = certificate.base.weights;
    match certificate.lineage.first() {
        None => format!("SHA-256 {weights}; nothing is known of how it was trained"),
        Some(ancestor) => format!("SHA-256 {weights}, released by run {}", ancestor.run),
    }
}

fn mechanism_rows(guarantee: &Guarantee) -> [(&'static str, String); 6] {
    [
        (
            "mechanism",
            "Gaussian noise, rounded to a grid of integers, on sums of clipped contributions"
                .into(),
        ),
        (
            "noise added",
            match guarantee.placement {
                umbel_privacy::NoisePlacement::Central => "by the coordinator (central)",
                umbel_privacy::NoisePlacement::Local => "by each site (local)",
            }
            .into(),
        ),
        (
            "noise multiplier",
            figures::parameter(guarantee.noise_multiplier.get()),
        ),
        (
            "sampling rate that is claimed",
            figures::parameter(guarantee.sampling_rate.get()),
        ),
        (
            "clipping norm",
            figures::parameter(guarantee.clipping_norm.get()),
        ),
        (
            "randomness",
            if guarantee.seeded {
                "a seed: predictable, so nobody is protected"
            } else {
                "the operating system"
            }
            .into(),
        ),
    ]
}

fn participation(certificate: &Certificate) -> Html {
    const HEADING: &str = "Who took part";
    let Some(participants) = &certificate.participation else {
        return part(
            HEADING,
            Html::element(
                "p",
                "Not told here: each client is what this run protects, and who took part is part \
                 of that.",
            ),
        );
    };
    let rows = participants.iter().map(|participant| {
        let rounds = number(figures::count(participant.rounds));
        let name = Html::with("th", &[("scope", "row")], &participant.client);
        Html::element(
            "tr",
            [name, rounds, signed_by(certificate, &participant.client)],
        )
    });
    let heads = [
        ("client", false),
        ("rounds that counted", true),
        ("signed what it was told, with key", false),
    ];
    let caption = "Every configured client. Compare each key with the one that the site itself \
                   gives you: umbel verify . --site NAME=KEY does that.";
    part(HEADING, table(caption, &heads, rows.collect()))
}

/// The key with which a client signed what it was told.
fn signed_by(certificate: &Certificate, client: &str) -> Html {
    let signed = certificate.sites.iter().flatten();
    let mut own = signed.filter(|signed| signed.statement.client == client);
    match own.next() {
        Some(signed) => {
            let key = signed.public_key.to_string();
            Html::element("td", Html::with("code", &[("class", "hash")], key))
        }
        None => Html::element("td", "not signed"),
    }
}

fn released(certificate: &Certificate) -> Html {
    let rows = certificate.files.iter().filter(|file| file.is_released());
    let rows = rows.map(|file| {
        let hash = Html::with("code", &[("class", "hash")], file.sha256.to_string());
        let cells = [
            Html::with("th", &[("scope", "row")], &file.path),
            number(figures::count(file.bytes)),
            Html::element("td", hash),
        ];
        Html::element("tr", cells)
    });
    let heads = [("file", false), ("bytes", true), ("SHA-256", false)];
    part(
        "What was released",
        table(
            "These files and no others, and each round's model on the way to them.",
            &heads,
            rows.collect(),
        ),
    )
}

fn checking(certificate: &Certificate) -> Html {
    let code = |text: String| Html::with("code", &[("class", "hash")], text);
    let mut steps = vec![Html::from([
        Html::text("In the folder that this page lies in, run "),
        Html::element("pre", Html::element("code", "umbel verify . --key KEY")),
        Html::text(
            "with the signer's public key for KEY, which you should have from the signer and not \
             from here. If it is the right one, it is ",
        ),
        code(certificate.public_key.to_string()),
        Html::text("."),
    ])];
    let ledger = &certificate.ledger;
    if certificate.guarantee.is_some() {
        steps.push(Html::from([
            Html::text(
                "That computes epsilon again from ledger.jsonl, line by line. Keep the hash of its \
                 last entry: a later ledger on the same data must contain it. It is ",
            ),
            code(ledger.head.to_string()),
            Html::text("."),
        ]));
        steps.push(Html::from([
            Html::text(
                "To have epsilon computed by other people's software, export what happened:",
            ),
            Html::element(
                "pre",
                Html::element("code", "umbel account events . --json > events.json"),
            ),
            Html::text(
                "and read it with Google's dp_accounting, as examples/recompute_epsilon.py does.",
            ),
        ]));
    }
    steps.push(Html::text(
        "What software can't show: that the coordinator really ran this program, and kept what it \
         was trusted with to itself.",
    ));
    let steps: Html = steps
        .into_iter()
        .map(|step| Html::element("li", step))
        .collect();
    part("How to check it", Html::element("ol", steps))
}

fn footer(certificate: &Certificate) -> Html {
    let run = &certificate.run;
    Html::element(
        "footer",
        format!(
            "Written by {}. Began {}, ended {}. This page says what certificate.json says; the \
             signature is there, and covers this page.",
            run.software,
            readable_time(run.began),
            readable_time(run.ended)
        ),
    )
}
