//! Which run is gone on with, and which isn't.

use std::fs;
use std::path::Path;

use umbel_coordinator::config::RunConfig;
use umbel_coordinator::run::place::{Beginning, Place, PlaceError, Unfinished};
use umbel_coordinator::store::{Spool, StoreError};
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::plan::AgreedPlan;

use crate::harness::{self, CONFIGURATION};

fn config(out: &Path) -> RunConfig {
    let mut config: RunConfig = toml::from_str(CONFIGURATION).expect("a configuration");
    config.run.out = out.to_owned();
    config
}

fn plan() -> AgreedPlan {
    harness::plan(8.0, 3)
}

/// Begins a run, as if its process ended then; its folder.
fn begin(config: &RunConfig, unix_time: u64) -> std::path::PathBuf {
    let run = (config, &plan());
    let place = Place::make(run, Spool::Kept, LedgerPoint::START, unix_time).expect("a folder");
    place.folder().path().to_owned()
}

fn find(config: &RunConfig, beginning: Beginning) -> Result<Option<Unfinished>, PlaceError> {
    Unfinished::find(config, &plan(), beginning)
}

#[test]
fn the_newest_unfinished_run_of_the_name_is_gone_on_with() {
    let out = tempfile::tempdir().expect("a folder");
    let config = config(out.path());
    assert!(
        find(&config, Beginning::GoOn)
            .expect("nothing yet")
            .is_none()
    );
    begin(&config, 1_000);
    let newest = begin(&config, 3_000);
    begin(&config, 2_000);
    let mut longer = config.clone();
    longer.run.name = "test-longer".parse().expect("a name");
    begin(&longer, 9_000);
    let found = find(&config, Beginning::GoOn).expect("it can be read");
    assert_eq!(found.expect("one").folder(), newest);
}

#[test]
fn a_new_run_gives_up_those_that_were_cut_off() {
    let out = tempfile::tempdir().expect("a folder");
    let config = config(out.path());
    let folder = begin(&config, 1_000);
    assert!(
        find(&config, Beginning::Anew)
            .expect("it can be read")
            .is_none()
    );
    assert!(!folder.join("journal").exists());
    assert!(
        find(&config, Beginning::GoOn)
            .expect("nothing is left")
            .is_none()
    );
}

#[test]
fn another_plan_or_other_conditions_are_refused_with_both_named() {
    let out = tempfile::tempdir().expect("a folder");
    let mut config = config(out.path());
    begin(&config, 1_000);
    let other = harness::plan(8.0, 4);
    let refused = Unfinished::find(&config, &other, Beginning::GoOn).err();
    let refused = refused.expect("another plan");
    assert!(refused.is_configuration());
    let sentence = refused.to_string();
    for plan in [&plan(), &other] {
        let digest = plan.digest().to_string();
        assert!(sentence.contains(&digest), "{sentence}");
    }
    assert!(sentence.contains("--new"), "{sentence}");
    config.server.learning_rate = harness::number(0.2);
    let refused = find(&config, Beginning::GoOn)
        .err()
        .expect("other conditions");
    assert!(refused.to_string().contains("[server]"), "{refused}");
    config.server.learning_rate = harness::number(0.1);
    // Nothing was touched.
    assert!(find(&config, Beginning::GoOn).expect("as it was").is_some());
}

#[test]
fn a_run_that_another_process_conducts_is_left_alone() {
    let out = tempfile::tempdir().expect("a folder");
    let config = config(out.path());
    begin(&config, 1_000);
    let _running = find(&config, Beginning::GoOn).expect("it can be read");
    for beginning in [Beginning::GoOn, Beginning::Anew] {
        let refused = find(&config, beginning).err().expect("it is in use");
        let in_use = matches!(refused, PlaceError::Store(StoreError::InUse { .. }));
        assert!(in_use, "{refused}");
    }
}

#[test]
fn a_damaged_journal_is_refused_and_set_aside_for_a_new_run() {
    let out = tempfile::tempdir().expect("a folder");
    let config = config(out.path());
    let folder = begin(&config, 1_000);
    fs::write(folder.join("journal/run.journal"), "nonsense\n").expect("a file");
    let refused = find(&config, Beginning::GoOn).err().expect("it is damaged");
    assert!(refused.to_string().contains("damaged"), "{refused}");
    assert!(
        find(&config, Beginning::Anew)
            .expect("it is set aside")
            .is_none()
    );
    assert!(folder.join("journal-set-aside/run.journal").exists());
    assert!(
        find(&config, Beginning::GoOn)
            .expect("nothing is left")
            .is_none()
    );
}

#[test]
fn a_certified_run_is_over_though_its_journal_is_there() {
    let out = tempfile::tempdir().expect("a folder");
    let config = config(out.path());
    let folder = begin(&config, 1_000);
    fs::write(folder.join("certificate.json"), "{}").expect("a file");
    assert!(
        find(&config, Beginning::GoOn)
            .expect("it can be read")
            .is_none()
    );
    assert!(!folder.join("journal").exists());
}
