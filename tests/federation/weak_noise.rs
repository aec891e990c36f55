//! So little noise that a guarantee promises nothing takes an explicit word.

use std::fs;

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};

#[test]
fn weak_noise_is_refused_unless_it_is_named_and_then_the_report_is_red() {
    let bench = Workbench::new(8);
    let run = bench.configuration("weak", PRIVATE_GRADIENTS, &SITES);
    let path = run.to_str().expect("UTF-8");
    // Given, and calibrated to a budget that is no promise.
    for weak in ["privacy.noise_multiplier=0.2", "privacy.epsilon=200"] {
        let output = bench.umbel(&["simulate", path, "--set", weak]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        for part in [
            "privacy.noise_multiplier: ",
            "below 0.3",
            "allow_weak_noise",
        ] {
            assert!(errors.contains(part), "{errors}");
        }
    }
    let named = [
        "--set",
        "privacy.noise_multiplier=0.2",
        "--set",
        "privacy.epsilon=500",
        "--set",
        "privacy.allow_weak_noise=true",
    ];
    let run = bench.simulate(&run, &named);
    assert_eq!(run["ending"], "complete");
    let folder = bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"));
    let report = fs::read_to_string(folder.join("report.html")).expect("a report");
    assert!(report.contains("class=\"protection nobody\""));
    assert!(report.contains("Next to no protection: the noise multiplier is 0.2"));
}
