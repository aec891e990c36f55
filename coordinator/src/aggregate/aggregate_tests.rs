//! One suite for every rule by which updates become one vector.

use super::*;

/// Hands an update of these values to whatever reads one.
fn read<T>(values: &[i64], by: impl FnOnce(&mut Reading<'_>) -> T) -> T {
    let readable = Readable {
        bytes: &LatticeVector::from_values(values.to_vec()).encode(),
        numbers: values.len(),
        factor: None,
    };
    let mut reading = readable.read().expect("in memory");
    by(&mut reading)
}

fn of(kind: &AggregateKind, updates: &[&[i64]]) -> Vec<i64> {
    let mut aggregate = (kind.make)(&AggregateSettings::default(), 3, false);
    for update in updates {
        let checked = read(update, |reading| aggregate.check(reading));
        assert!(checked.is_ok(), "{kind:?}");
        read(update, |reading| aggregate.accept(reading)).expect("it was checked");
    }
    aggregate.finish().values().to_vec()
}

/// What the updates come to, once it is divided.
fn divided(kind: &AggregateKind, updates: &[&[i64]]) -> Vec<f64> {
    let divisor = kind.divisor(updates.len() as f64, updates.len());
    let whole = of(kind, updates);
    whole.iter().map(|x| *x as f64 / divisor).collect()
}

#[test]
fn the_order_of_updates_does_not_matter() {
    let updates: [&[i64]; 4] = [&[5, -1, 0], &[7, 3, -9], &[-2, 8, 4], &[1, 1, 1]];
    let mut turned = updates;
    for kind in ALL {
        for _ in 0..updates.len() {
            turned.rotate_left(1);
            assert_eq!(of(kind, &turned), of(kind, &updates), "{kind:?}");
        }
    }
}

#[test]
fn equal_updates_come_to_what_each_is() {
    for kind in ALL {
        for count in 1..5 {
            let updates = vec![&[40, -3, 0][..]; count];
            assert_eq!(divided(kind, &updates), [40.0, -3.0, 0.0], "{kind:?}");
        }
    }
}

#[test]
fn no_updates_come_to_zeros() {
    for kind in ALL {
        assert_eq!(of(kind, &[]), [0, 0, 0], "{kind:?}");
    }
}

#[test]
fn another_length_is_refused_and_not_a_panic() {
    for kind in ALL {
        let mut aggregate = (kind.make)(&AggregateSettings::default(), 3, true);
        let longer = [1, 2, 3, 4];
        assert!(
            read(&longer, |reading| aggregate.accept(reading)).is_err(),
            "{kind:?}"
        );
        let _ = read(&longer, |reading| aggregate.check(reading));
    }
}

#[test]
fn the_first_rule_bounds_what_a_unit_moves() {
    assert!(standard().bounds_units && standard().name == "sum");
}

/// What `examples/make_strategy_fixtures.py robust` writes.
#[derive(serde::Deserialize)]
struct Flower {
    start: Vec<f64>,
    runs: Vec<FlowerRun>,
}

#[derive(serde::Deserialize)]
struct FlowerRun {
    rule: String,
    settings: FlowerSettings,
    /// By round, client and parameter.
    updates: Vec<Vec<Vec<f64>>>,
    after: Vec<Vec<f64>>,
}

#[derive(serde::Deserialize)]
struct FlowerSettings {
    trim: Option<f64>,
    malicious: Option<usize>,
    keep: Option<usize>,
}

#[test]
fn twenty_rounds_of_each_robust_rule_come_to_flowers_parameters() {
    let fixture = include_str!("../../tests/strategies/flower_robust.json");
    let flower: Flower = serde_json::from_str(fixture).expect("a sound fixture");
    let step = umbel_privacy::lattice::LatticeStep::UNCLIPPED;
    let mut met = std::collections::BTreeSet::new();
    for run in flower.runs {
        let kind = ALL
            .iter()
            .find(|kind| kind.name == run.rule)
            .expect("a rule");
        met.insert(kind.name);
        let usual = AggregateSettings::default();
        let settings = AggregateSettings {
            trim: run.settings.trim.unwrap_or(usual.trim),
            malicious: run.settings.malicious.unwrap_or(usual.malicious),
            keep: run.settings.keep.unwrap_or(usual.keep),
        };
        let mut parameters = flower.start.clone();
        for (updates, after) in run.updates.iter().zip(&run.after) {
            let mut aggregate = (kind.make)(&settings, parameters.len(), false);
            for update in updates {
                let update = LatticeVector::quantize(update, step).expect("finite");
                read(update.values(), |reading| aggregate.accept(reading)).expect("of the length");
            }
            let clients = updates.len();
            let divisor = kind.divisor(clients as f64, clients);
            let moved = aggregate.finish().to_f64(step);
            for ((own, moved), flowers) in parameters.iter_mut().zip(moved).zip(after) {
                *own += moved / divisor;
                let close = (*own - flowers).abs() <= 1e-6;
                assert!(close, "{}: {own} for {flowers}", kind.name);
            }
        }
        assert_eq!(run.after.len(), 20);
    }
    assert_eq!(met.len() + 1, ALL.len(), "every rule but the sum");
}

#[test]
fn one_client_with_absurd_numbers_moves_no_robust_rule_beyond_the_others() {
    let honest: [&[i64]; 5] = [&[3, 1, 0], &[5, 2, 1], &[4, 1, 1], &[4, 2, 0], &[3, 2, 1]];
    for kind in ALL.iter().filter(|kind| kind.name != "sum") {
        for absurd in [i64::MAX / 4, i64::MIN / 4] {
            let mut updates = honest.to_vec();
            let sent = [absurd; 3];
            updates.push(&sent);
            let moved = divided(kind, &updates);
            for (index, value) in moved.iter().enumerate() {
                let values = honest.iter().map(|update| update[index] as f64);
                let (least, most) =
                    values.fold((f64::MAX, f64::MIN), |(l, m), v| (l.min(v), m.max(v)));
                assert!((least..=most).contains(value), "{kind:?}: {moved:?}");
            }
        }
        assert!(!kind.bounds_units, "{kind:?}");
    }
}
