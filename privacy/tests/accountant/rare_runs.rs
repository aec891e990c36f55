//! Compositions of which hardly a run is seen, where a few large losses matter as much as all others together: a
//! run's first rounds, and rates of 10⁻⁷. The reference values are from mpmath with 45 digits, by an integral with a
//! sharp cut that was moved, and with its step halved, until nothing changed.

use umbel_privacy::accountant::{Interval, PldAccountant};
use umbel_privacy::{Accountant, Adjacency, Delta, MechanismEvent, NoiseMultiplier, SamplingRate};

const ADD: Adjacency = Adjacency::AddOrRemove;
const REPLACE: Adjacency = Adjacency::ReplaceOne;

fn interval(adjacency: Adjacency, (sigma, q, rounds): (f64, f64, u64), delta: f64) -> Interval {
    let mut accountant = PldAccountant::new(adjacency);
    let event = MechanismEvent::poisson_gaussian(
        SamplingRate::try_from(q).unwrap(),
        NoiseMultiplier::try_from(sigma).unwrap(),
    );
    accountant.compose(&event, rounds).unwrap();
    accountant.interval(Delta::try_from(delta).unwrap())
}

/// (adjacency, (σ, q, rounds), δ, an epsilon at which δ is surely more, one at which it is surely less).
type Case = (Adjacency, (f64, f64, u64), f64, f64, f64);

#[test]
fn epsilons_of_rare_runs_are_narrow_and_right() {
    let cases: [Case; 11] = [
        (
            ADD,
            (2.2921254627353576, 1.0321306327864001e-07, 505835),
            4.840709165102791e-11,
            0.00014639964230382435,
            0.00014639964266791343,
        ),
        (
            REPLACE,
            (0.8388183563124303, 1.6805005258725192e-07, 493104),
            3.4555024858048054e-12,
            0.0017466541453162068,
            0.0017466629478385084,
        ),
        (
            ADD,
            (0.8203624168579545, 2.4262961305014864e-06, 369390),
            2.439303375151202e-10,
            0.013657053068168577,
            0.013657104580116722,
        ),
        (
            ADD,
            (25.62884161193915, 1.8848588608251413e-07, 177736),
            1.722532457880233e-14,
            1.6777636183126794e-05,
            1.6777636193764864e-05,
        ),
        (
            ADD,
            (4.808831423425111, 1.0246715945648708e-07, 820123),
            4.744400159299771e-10,
            7.250923672144324e-05,
            7.250923710540799e-05,
        ),
        (
            REPLACE,
            (0.9472583910892296, 3.0419361600538335e-06, 211779),
            2.5438887832351994e-07,
            0.011195765688518995,
            0.011195765849073277,
        ),
        (
            REPLACE,
            (0.8007088796603109, 7.768592863218185e-05, 29774),
            2.141861071119951e-14,
            1.0235617797854735,
            1.0235645372570614,
        ),
        (
            REPLACE,
            (5.05994291048687, 1.4044614879008911e-05, 15),
            2.148628981977311e-11,
            9.600414187207032e-05,
            9.600414489861598e-05,
        ),
        (
            ADD,
            (10.132923687253411, 7.176309915635969e-06, 751078),
            4.123250505049074e-10,
            0.002774078253532564,
            0.0027740782627099954,
        ),
        (
            REPLACE,
            (6.189007672891869, 4.5139558945493144e-05, 13),
            3.672575585618043e-13,
            0.0002851577038878754,
            0.00028515776796672447,
        ),
        (
            ADD,
            (0.6795914748401575, 3.958255966337192e-05, 33932),
            9.230221928976534e-07,
            0.1003066599291567,
            0.10030676867402072,
        ),
    ];
    for (adjacency, setting, delta, low, high) in cases {
        let found = interval(adjacency, setting, delta);
        assert!(
            found.lower() <= high && found.upper() >= low,
            "{setting:?} {delta:e}: {found:?}, and it lies between {low:e} and {high:e}"
        );
        assert!(
            found.upper() - found.lower() <= 1e-3 * found.upper(),
            "{setting:?} {delta:e}: {found:?}"
        );
    }
}

#[test]
fn one_round_more_never_costs_less_where_hardly_a_round_is_seen() {
    for (adjacency, sigma, q, delta) in [
        (ADD, 0.9, 5.6e-7, 2e-11),
        (REPLACE, 0.84, 1.7e-7, 3.5e-12),
        (REPLACE, 5.0, 1.4e-5, 2.1e-11),
    ] {
        let mut before = 0.0;
        for rounds in [1, 2, 3, 10, 100, 101, 1000, 1_000_000, 1_000_001] {
            let found = interval(adjacency, (sigma, q, rounds), delta);
            assert!(found.upper() >= before, "{sigma} {rounds}: {found:?}");
            before = found.lower();
        }
    }
}
