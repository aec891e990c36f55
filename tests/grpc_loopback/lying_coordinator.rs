//! A coordinator that lies, against the real client: what it can't get, and in which words it is
//! refused.

use std::fs;

use umbel_client::part::AtSite as _;
use umbel_client::site::{Site, SiteError};
use umbel_client::site_ledger::{Owed, SiteLedger};
use umbel_privacy::accountant::event::MechanismEvent;
use umbel_proto::message::{BlobDigest, Ending};

use crate::site::{Bench, LOCAL, Offered, PER_CLIENT};

/// How often an event draws noise.
fn draws(event: &MechanismEvent) -> u64 {
    match event {
        MechanismEvent::SelfComposed { count, .. } => *count,
        _ => 1,
    }
}

/// A run of twenty rounds whose unit is the client.
fn per_client(bench: &Bench) -> Offered {
    bench.offered("clients", 20, PER_CLIENT)
}

#[test]
fn a_plan_with_next_to_no_noise_is_refused_by_the_sites_policy() {
    let bench = Bench::new();
    let weak = LOCAL.replace(
        "noise_multiplier = 2.0",
        "noise_multiplier = 0.02\nallow_weak_noise = true",
    );
    let offered = bench.offered("weak", 3, &weak);
    let (ending, got) = bench.play(bench.site(3.0), &offered, &[(1, 1), (2, 2), (3, 3)]);
    assert_eq!(
        ending,
        Err(
            "this site's policy refuses the run: its noise multiplier of 0.02 is below \
             policy.least_noise_multiplier, 0.3: so little noise promises nothing"
                .into()
        )
    );
    assert!(got.is_empty() && bench.entries().is_empty());

    // Where the policy allows it, the budget doesn't: one round alone costs 1,453.
    let mut careless = bench.site(3.0);
    careless.policy.as_mut().unwrap().least_noise_multiplier = 0.0.try_into().unwrap();
    let (ending, got) = bench.play(careless, &offered, &[(1, 1)]);
    let refused = ending.unwrap_err();
    let whole = "this site's budget doesn't hold all ";
    assert!(refused.starts_with(whole), "{refused}");
    assert!(got.is_empty() && bench.entries().is_empty());
}

#[test]
fn a_plan_that_hides_its_weak_noise_is_no_plan() {
    let bench = Bench::new();
    let mut offered = bench.offered("weak", 3, LOCAL);
    let mut sent: serde_json::Value = serde_json::from_slice(&offered.sent).unwrap();
    sent["protection"]["noise_multiplier"] = 0.02.into();
    offered.sent = serde_json::to_vec(&sent).unwrap();
    let (ending, got) = bench.play(bench.site(3.0), &offered, &[(1, 1)]);
    let refused = ending.unwrap_err();
    assert!(
        refused.contains("the noise multiplier is 0.02, below 0.3"),
        "{refused}"
    );
    assert!(got.is_empty() && bench.entries().is_empty());
}

#[test]
fn a_promise_that_protects_nobody_is_no_plan() {
    let bench = Bench::new();
    let mut offered = bench.offered("nobody", 3, LOCAL);
    let mut sent: serde_json::Value = serde_json::from_slice(&offered.sent).unwrap();
    sent["protection"]["unit"] = "none".into();
    offered.sent = serde_json::to_vec(&sent).unwrap();
    let (ending, got) = bench.play(bench.site(3.0), &offered, &[(1, 1)]);
    let refused = ending.unwrap_err();
    assert!(refused.contains("unknown variant `none`"), "{refused}");
    assert!(got.is_empty() && bench.entries().is_empty());
}

#[test]
fn a_site_that_is_never_drawn_has_paid_for_all_rounds_and_keeps_it_so() {
    let bench = Bench::new();
    let offered = per_client(&bench);
    let (ending, got) = bench.play(bench.site(20.0), &offered, &[]);
    assert_eq!((ending, got.len()), (Ok(Ending::Complete), 0));
    let entries = bench.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].round, entries[0].last_round), (1, Some(20)));
    assert_eq!(draws(&entries[0].event), 20);

    // The same run under the same plan is paid for already, another one isn't.
    bench.play(bench.site(20.0), &offered, &[]).0.unwrap();
    assert_eq!(bench.entries().len(), 1);
    bench
        .play(bench.site(20.0), &offered.named("another"), &[])
        .0
        .unwrap();
    let longer = offered.changed(|plan| plan.rounds = 30.try_into().unwrap());
    bench.play(bench.site(20.0), &longer, &[]).0.unwrap();
    let paid = bench.entries().into_iter().map(|entry| draws(&entry.event));
    assert_eq!(paid.collect::<Vec<_>>(), [20, 20, 30]);
}

#[test]
fn a_plan_that_the_budget_does_not_hold_is_refused_before_its_first_round() {
    let bench = Bench::new();
    let (ending, got) = bench.play(bench.site(5.0), &per_client(&bench), &[(20, 1)]);
    let refused = ending.unwrap_err();
    let whole = "this site's budget doesn't hold all ";
    assert!(refused.starts_with(whole), "{refused}");
    assert!(got.is_empty() && bench.entries().is_empty());
}

#[test]
fn a_site_that_is_told_that_every_round_is_the_last_answers_once() {
    let bench = Bench::new();
    let offered = per_client(&bench);
    let last: Vec<(u32, u8)> = (1..=20).map(|number| (20, number)).collect();
    let (ending, got) = bench.play(bench.site(6.0), &offered, &last);
    let refused = ending.unwrap_err();
    assert!(
        refused.starts_with("the coordinator asked for round 20 again, from other parameters"),
        "{refused}"
    );
    assert_eq!(got.len(), 1);
    // Starting the client again changes nothing: what it answered is known.
    for number in 2..5 {
        let (ending, got) = bench.play(bench.site(6.0), &offered, &[(20, number)]);
        assert!(ending.is_err_and(|refused| refused.contains("round 20 again")));
        assert!(got.is_empty());
    }
    assert_eq!(bench.entries().len(), 1);
}

#[test]
fn a_site_that_is_drawn_in_every_round_does_not_believe_it() {
    let bench = Bench::new();
    let every: Vec<(u32, u8)> = (1..=20).map(|round| (round, 1)).collect();
    let (ending, got) = bench.play(bench.site(6.0), &per_client(&bench), &every);
    let refused = ending.unwrap_err();
    assert!(
        refused.starts_with("this site was asked in 8 of 8 rounds at a sampling rate of 0.05: "),
        "{refused}"
    );
    assert_eq!(got.len(), 7);
    assert_eq!(bench.entries().len(), 1);
}

#[test]
fn rounds_that_the_plan_does_not_have_and_rounds_of_the_past_are_refused() {
    let bench = Bench::new();
    let offered = per_client(&bench);
    // The wire has no round 0.
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(0, 1)]);
    let refused = ending.unwrap_err();
    assert!(
        refused.contains("round is 0; rounds count from 1"),
        "{refused}"
    );
    assert!(got.is_empty());
    for round in [21, u32::MAX] {
        let (ending, got) = bench.play(bench.site(6.0), &offered, &[(round, 1)]);
        let refused = ending.unwrap_err();
        let expected = format!("asked for round {round}, and the plan has rounds 1 to 20");
        assert!(refused.contains(&expected), "{refused}");
        assert!(got.is_empty());
    }
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(5, 1), (4, 1)]);
    let refused = ending.unwrap_err();
    assert!(refused.contains("round 4 after round 5"), "{refused}");
    assert_eq!(got.len(), 1);
    // Told that the run is over, it forgets the update, but not that it sent one.
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(5, 1)]);
    assert_eq!((ending, got.len()), (Ok(Ending::Complete), 1));
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(5, 1)]);
    let refused = ending.unwrap_err();
    let expected = "round 5 again after the run had ended";
    assert!(refused.contains(expected), "{refused}");
    assert!(got.is_empty());
}

#[test]
fn a_site_whose_outbox_was_lost_does_not_guess_what_it_answered() {
    let bench = Bench::new();
    let offered = per_client(&bench);
    bench.play(bench.site(6.0), &offered, &[(3, 1)]).0.unwrap();
    fs::remove_dir_all(bench.path("ledger.jsonl.outbox")).unwrap();
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(3, 2)]);
    let refused = ending.unwrap_err();
    assert!(
        refused.contains("the outbox beside it is gone"),
        "{refused}"
    );
    assert!(got.is_empty());
}

#[test]
fn asked_for_the_same_round_again_a_site_sends_the_same_bytes_and_pays_once() {
    let bench = Bench::new();
    for (sections, name) in [(LOCAL, "local"), (PER_CLIENT, "clients")] {
        let before = bench.entries().len();
        let mut site = bench.site(6.0);
        site.ledger.data_set = name.into();
        site.ledger.new_data_set = true;
        let offered = bench.offered(name, 20, sections);
        let (ending, got) = bench.play(site, &offered, &[(2, 1), (2, 1), (2, 1)]);
        assert_eq!(ending, Ok(Ending::Complete), "{name}");
        assert_eq!(got.len(), 3, "{name}");
        assert!(got.iter().all(|update| *update == got[0]), "{name}");
        assert_eq!(bench.entries().len(), before + 1, "{name}");
    }
}

#[test]
fn other_parameters_for_one_round_are_another_attempt_where_each_update_is_paid_for() {
    let bench = Bench::new();
    let offered = bench.offered("local", 20, LOCAL);
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(2, 1), (2, 2), (2, 1)]);
    assert_eq!(ending, Ok(Ending::Complete));
    assert_eq!(got.len(), 3);
    let attempts: Vec<(u64, u64)> = bench
        .entries()
        .iter()
        .map(|entry| (entry.round, entry.attempt))
        .collect();
    assert_eq!(attempts, [(2, 0), (2, 1), (2, 2)]);
}

/// A site that was asked for round 1, trains, and goes no further.
fn trains_and_stops(bench: &Bench, offered: &Offered) -> Result<Vec<u8>, SiteError> {
    let mut site = Site::open(bench.site(6.0), offered.plan.clone(), &offered.files())?;
    let parameters = offered.parameters(1);
    match site.asked(1, BlobDigest::of(&parameters))? {
        Owed::Kept(update) => Ok(update),
        Owed::Training(open) => site.train(&open, &parameters),
    }
}

#[test]
fn a_client_that_stopped_before_sending_sends_what_it_paid_for() {
    let bench = Bench::new();
    let offered = bench.offered("local", 20, LOCAL);
    let paid_for = trains_and_stops(&bench, &offered).unwrap();
    assert_eq!(bench.entries().len(), 1);
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(1, 1), (2, 1)]);
    assert_eq!(ending, Ok(Ending::Complete));
    assert_eq!(got[0], (1, paid_for));
    assert_eq!(bench.entries().len(), 2, "one for each round");
}

/// A site that was asked for this round, pays, and is stopped while it trains.
fn pays_and_stops(bench: &Bench, offered: &Offered) {
    let round = 1;
    let site = bench.site(6.0);
    let now = site.unix_seconds;
    let ledger = SiteLedger::open(site.ledger, site.policy.as_ref(), &offered.plan, now);
    let mut ledger = ledger.unwrap();
    let parameters = BlobDigest::of(&offered.parameters(1));
    let Owed::Training(open) = ledger.asked(round, parameters).unwrap() else {
        panic!("nothing was given yet");
    };
    ledger.spend(&open).unwrap();
}

#[test]
fn a_client_that_was_stopped_while_it_trained_does_not_pay_again() {
    let bench = Bench::new();
    let offered = bench.offered("local", 20, LOCAL);
    for _ in 0..3 {
        pays_and_stops(&bench, &offered);
        assert_eq!(bench.entries().len(), 1);
    }
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(1, 1), (2, 1)]);
    assert_eq!((ending, got.len()), (Ok(Ending::Complete), 2));
    let rounds: Vec<u64> = bench.entries().iter().map(|entry| entry.round).collect();
    assert_eq!(rounds, [1, 2]);
}

#[test]
fn an_entry_pays_for_the_round_that_it_was_written_for_and_for_no_other() {
    let bench = Bench::new();
    let offered = bench.offered("local", 20, LOCAL);
    pays_and_stops(&bench, &offered);
    let (ending, _) = bench.play(bench.site(6.0), &offered, &[(1, 2)]);
    assert_eq!(ending, Ok(Ending::Complete));
    let attempts: Vec<(u64, u64)> = bench
        .entries()
        .iter()
        .map(|entry| (entry.round, entry.attempt))
        .collect();
    assert_eq!(attempts, [(1, 0), (1, 1)], "the parameters were others");
}

#[test]
fn a_client_that_paid_and_has_nothing_to_send_pays_for_another_attempt() {
    let bench = Bench::new();
    let offered = bench.offered("local", 20, LOCAL);
    trains_and_stops(&bench, &offered).unwrap();
    fs::remove_dir_all(bench.path("ledger.jsonl.outbox")).unwrap();
    let (ending, got) = bench.play(bench.site(6.0), &offered, &[(1, 1)]);
    assert_eq!((ending, got.len()), (Ok(Ending::Complete), 1));
    let attempts: Vec<u64> = bench.entries().iter().map(|entry| entry.attempt).collect();
    assert_eq!(attempts, [0, 1], "wasted, and on record");
}

#[test]
fn a_new_name_for_the_data_beside_a_ledger_needs_a_word() {
    let bench = Bench::new();
    let offered = per_client(&bench);
    bench.play(bench.site(6.0), &offered, &[]).0.unwrap();
    let renamed = |new_data_set| {
        let mut site = bench.site(6.0);
        site.ledger.data_set = "rows-of-2026".into();
        site.ledger.new_data_set = new_data_set;
        site
    };
    let (ending, _) = bench.play(renamed(false), &offered, &[]);
    let refused = ending.unwrap_err();
    for part in [
        "has spending on \"rows\"",
        "\"rows-of-2026\"",
        "--new-data-set",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    bench.play(renamed(true), &offered, &[]).0.unwrap();
    // From now on, the name is known.
    bench.play(renamed(false), &offered, &[]).0.unwrap();
    assert_eq!(bench.entries().len(), 2);
}
