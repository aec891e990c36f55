//! Lobby and driver know of rounds only what a protocol tells them.

use umbel_coordinator::run::absence::Patience;
use umbel_proto::message::Ending;

use crate::closes_at_once::ClosesAtOnce;
use crate::harness::{Nobody, Setting, paid_draws, plan, run_by};

#[test]
fn a_run_goes_by_whatever_protocol_it_is_given() {
    let setting = Setting {
        test: "closes-at-once",
        plan: plan(8.0, 2),
        minimum: 1,
        attempts: 1,
        patience: Patience::NONE,
    };
    let outcome = run_by(ClosesAtOnce::new, (0.1, setting), &mut Nobody, |clients| {
        for (round, first, second) in [(1, "a", "b"), (2, "b", "a")] {
            clients.asked(first, round);
            clients.asked(second, round);
            clients.submits(first, round, [1, 2, 3]);
            clients.submits_too_late(second, round);
        }
        assert_eq!(clients.ends("a"), Ending::Complete);
    });
    assert_eq!((outcome.rounds, paid_draws(&outcome)), (2, 2));
}
