//! One suite for every rule by which updates become one vector.

use super::*;

/// Hands an update of these values to whatever reads one.
fn read<T>(values: &[i64], by: impl FnOnce(&mut Reading<'_>) -> T) -> T {
    let readable = Readable {
        bytes: &LatticeVector::from_values(values.to_vec()).encode(),
        numbers: values.len(),
    };
    let mut reading = readable.read().expect("in memory");
    by(&mut reading)
}

fn of(kind: &AggregateKind, updates: &[&[i64]]) -> Vec<i64> {
    let mut aggregate = (kind.make)(3, false);
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
        let mut aggregate = (kind.make)(3, true);
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
