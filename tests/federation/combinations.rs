//! Every combination of unit, sum and noise that is offered runs; every other is refused.

use crate::workbench::{SITES, Workbench};

/// The sections of a run with this unit, sum and noise.
pub fn sections(unit: &str, method: &str, noise: &str) -> String {
    let promise = match unit {
        "none" => "",
        _ => "epsilon = 8.0\ndelta = 1e-5\nclipping_norm = 0.5\nsampling_rate = 0.5\n",
    };
    let training = match method {
        "gradients" => "expected_batch = 24\n",
        _ => {
            "[training.local]\noptimiser = \"adam-w\"\nsteps = 2\nbatch = 6\nlearning_rate = 1e-3\n"
        }
    };
    format!(
        "[privacy]\nunit = \"{unit}\"\nnoise = \"{noise}\"\n{promise}\n\
         [training]\nmethod = \"{method}\"\n{training}\n\
         [server]\noptimiser = \"sgd\"\nlearning_rate = 0.5\n"
    )
}

#[test]
fn a_memory_that_training_does_not_fit_is_refused_with_what_would_do() {
    let bench = Workbench::new(12);
    let run = bench.configuration("tight", &sections("record", "gradients", "central"), &SITES);
    let path = run.to_str().expect("UTF-8");
    let refused = bench.umbel(&["simulate", path, "--memory", "1MB"]);
    assert_eq!(refused.status.code(), Some(6));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("MB of memory"), "{errors}");
    bench.simulate(&run, &["--memory", "500MB"]);
}

#[test]
fn every_offered_combination_runs_and_reports_its_epsilon() {
    let bench = Workbench::new(12);
    let offered = [
        ("record", "gradients", "central"),
        ("record", "gradients", "local"),
        ("record", "deltas", "local"),
        ("client", "deltas", "central"),
        ("client", "deltas", "local"),
        ("none", "gradients", "central"),
        ("none", "deltas", "central"),
    ];
    for (unit, method, noise) in offered {
        let name = format!("{unit}-{method}-{noise}");
        let run = bench.configuration(&name, &sections(unit, method, noise), &SITES);
        let run = bench.simulate(&run, &["--seed", "1"]);
        assert_eq!(
            (&run["ending"], &run["rounds"]),
            (&"complete".into(), &2.into()),
            "{name}"
        );
        match unit {
            "none" => assert!(run["epsilon"].is_null(), "{name}"),
            _ => {
                let epsilon = run["epsilon"].as_f64().expect("an epsilon");
                assert!((6.0..=8.0).contains(&epsilon), "{name}: {epsilon}");
            }
        }
    }
}

#[test]
fn groups_are_clipped_together_and_need_their_column() {
    let bench = Workbench::new(12);
    for site in SITES {
        let table =
            std::fs::read_to_string(bench.path().join(format!("{site}.csv"))).expect("the table");
        let mut lines = table.lines();
        let mut grouped = lines.next().unwrap_or_default().to_owned() + ",author\r\n";
        for (row, line) in lines.enumerate() {
            grouped += &format!("{line},author-{}\r\n", row / 5);
        }
        bench.write(&format!("{site}.csv"), &grouped);
    }
    let run = bench.configuration("groups", &sections("group", "gradients", "central"), &SITES);
    let refused = bench.umbel(&["simulate", run.to_str().expect("UTF-8")]);
    assert!(!refused.status.success());
    // Nobody needs to be named in rows that count as public.
    bench.write(
        "public.csv",
        "text,label\r\nfine,positive\r\npoor,negative\r\n",
    );
    let evaluation = "evaluation.files=[{name=\"public\", path=\"public.csv\"}]";
    let run = bench.simulate(&run, &["--set", "data.group=author", "--set", evaluation]);
    assert_eq!(run["unit"], "group");
    assert_eq!(run["ending"], "complete");
    assert_eq!(run["examples"], 2);
}

#[test]
fn other_combinations_are_refused_when_the_configuration_is_read() {
    let bench = Workbench::new(1);
    let refused = [
        ("record", "deltas", "central"),
        ("group", "deltas", "central"),
        ("client", "gradients", "central"),
        ("client", "gradients", "local"),
    ];
    for (unit, method, noise) in refused {
        let name = format!("{unit}-{method}-{noise}");
        let run = bench.configuration(&name, &sections(unit, method, noise), &SITES);
        let output = bench.umbel(&["simulate", run.to_str().expect("UTF-8")]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {errors}");
        assert!(errors.contains(unit), "{name}: {errors}");
    }
}

#[test]
fn where_the_client_is_the_unit_no_file_says_who_took_part() {
    let bench = Workbench::new(8);
    let sections = sections("client", "deltas", "central");
    let run = bench.configuration("hidden", &sections, &SITES);
    let run = bench.simulate(&run, &["--seed", "1"]);
    let folder = bench
        .path()
        .join(run["run_dir"].as_str().expect("a run folder"));
    for name in [
        "report.html",
        "result.json",
        "metrics.jsonl",
        "certificate.json",
        "certificate.html",
    ] {
        let text = std::fs::read_to_string(folder.join(name)).expect("a file of the run");
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        assert!(
            !words.any(|word| SITES.contains(&word)),
            "{name} names a site"
        );
    }
    assert!(run["clients"].is_null() && run["bytes_up"].is_null());
}
