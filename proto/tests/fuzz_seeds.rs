//! Inputs that fuzzing began with or found: every one passes the checks that `fuzz/` makes.

#[path = "../../fuzz/checks/certificate.rs"]
mod certificate;
#[path = "../../fuzz/checks/effort.rs"]
mod effort;
#[path = "../../fuzz/checks/folder.rs"]
mod folder;
#[path = "../../fuzz/checks/plan.rs"]
mod plan;
#[path = "../../fuzz/checks/seeds.rs"]
mod seeds;
#[path = "../../fuzz/checks/wire.rs"]
mod wire;

use umbel_proto::plan::Plan;

#[test]
fn every_kept_certificate_is_examined_or_refused() {
    seeds::each("certificate", certificate::check);
}

#[test]
fn certificates_that_the_code_itself_made_hold() {
    for name in ["record-central", "client-central", "lineage", "none"] {
        let found = certificate::examined(&folder::read(&seeds::one("certificate", name)));
        assert!(found.is_some_and(|found| found.holds()), "{name}");
    }
}

#[test]
fn every_kept_plan_is_followed_or_refused() {
    seeds::each("plan", plan::check);
}

#[test]
fn a_plan_with_more_parameters_than_can_be_counted_is_refused() {
    let refused = Plan::from_json(&seeds::one("plan", "found-parameters-overflow"));
    assert!(refused.unwrap_err().to_string().contains("parameters"));
}

#[test]
fn every_kept_message_arrives_or_is_refused() {
    seeds::each("wire", wire::check);
}
