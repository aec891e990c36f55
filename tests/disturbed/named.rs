//! The faults that people fear, one by one, each in every kind of run.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::checks::{self, References};
use crate::faults::{Fault, Faults, Machine};
use crate::life;
use crate::setting::{CLIENTS, Kind, ROUND, Setting};

/// Seeds for each: where processes stand when it happens differs.
const SEEDS: u64 = 8;

/// Each fault comes in the middle of a round's training, at first.
const FIRST: Duration = Duration::from_millis(1_500);
const NEXT: Duration = Duration::from_millis(700);

fn suffers(faults: &[Fault], messages: bool) {
    suffers_with(faults, messages, |_| {});
}

/// Lives through these faults, in every kind of run, with all sites needed and with two.
fn suffers_with(faults: &[Fault], messages: bool, change: impl Fn(&mut Setting)) {
    let references = References::default();
    for kind in Kind::ALL {
        for minimum in [CLIENTS.len(), 2] {
            let mut setting = Setting {
                kind,
                minimum,
                absent: BTreeSet::new(),
                takes: None,
            };
            change(&mut setting);
            let pauses = std::iter::once(FIRST).chain(std::iter::repeat(NEXT));
            let faults = Faults {
                list: pauses.zip(faults.iter().cloned()).collect(),
                messages,
                writes: false,
                outages: true,
            };
            for seed in 0..SEEDS {
                let life = life::live(seed, setting.clone(), &faults);
                let held = life.and_then(|life| checks::all(&life, &references));
                held.unwrap_or_else(|why| {
                    panic!("{kind:?}, minimum {minimum}, seed {seed}: {why}")
                });
            }
        }
    }
}

#[test]
fn a_site_that_dies_while_it_trains_costs_nobody_a_round() {
    suffers(&[Fault::Site(0), Fault::Site(1), Fault::Site(0)], false);
}

#[test]
fn a_link_that_is_cut_for_six_minutes_during_an_upload_is_waited_for_or_done_without() {
    suffers(&[Fault::Cut(2, 360)], true);
}

#[test]
fn a_site_that_is_twenty_times_slower_counts_where_it_is_needed() {
    suffers_with(&[], false, |setting| {
        setting.takes = Some(vec![Duration::from_secs(20), Duration::from_secs(1)]);
    });
}

#[test]
fn two_sites_that_are_always_late_keep_nobody_from_the_end() {
    suffers_with(&[], false, |setting| {
        setting.minimum = 2;
        let late = ROUND + ROUND / 2;
        setting.takes = Some(vec![late, late, Duration::from_secs(1)]);
    });
}

#[test]
fn everybody_is_started_again_at_once_and_again() {
    suffers(
        &[Fault::Everybody, Fault::Everybody, Fault::Everybody],
        false,
    );
}

#[test]
fn messages_that_are_lost_late_and_repeated_change_nothing() {
    suffers(&[Fault::Late, Fault::Late, Fault::Late], true);
}

#[test]
fn a_full_disk_stops_its_machine_alone_and_only_until_there_is_room() {
    for machine in [Machine::Coordinator, Machine::Site(1)] {
        suffers(&[Fault::Full(machine), Fault::Late, Fault::Late], false);
    }
}

#[test]
fn a_clock_that_jumps_by_a_day_means_nothing() {
    suffers(
        &[
            Fault::Jump(86_400),
            Fault::Coordinator,
            Fault::Jump(-172_800),
        ],
        false,
    );
}

#[test]
fn a_site_that_starts_while_a_clock_is_a_day_off_waits_until_it_is_set_right() {
    for day in [86_400, -86_400] {
        suffers(&[Fault::Jump(day), Fault::Site(1), Fault::Late], false);
    }
}

#[test]
fn a_coordinator_that_was_suspended_beyond_a_rounds_end_still_waits_for_who_is_missing() {
    let missing = Fault::Suspended(Machine::Site(1), 819);
    let coordinator = Fault::Suspended(Machine::Coordinator, 699);
    suffers(&[missing, coordinator], false);
}

#[test]
fn a_machine_that_is_suspended_for_ten_minutes_goes_on_where_it_was() {
    for machine in [Machine::Coordinator, Machine::Site(1)] {
        suffers(&[Fault::Suspended(machine, 600)], false);
    }
}
