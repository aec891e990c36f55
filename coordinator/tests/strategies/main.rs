//! SCAFFOLD's server and clients together, beside the paper's rules in numpy.

use serde::Deserialize;
use umbel_coordinator::strategy::{Given, Step, named};
use umbel_proto::control_variates::{correct, moved, reach};
use umbel_proto::method::LocalOptimisation;

/// What `examples/make_scaffold_fixture.py` writes.
#[derive(Deserialize)]
struct Fixture {
    steps: u32,
    local_learning_rate: f64,
    learning_rate: f64,
    a: Vec<Vec<f64>>,
    b: Vec<Vec<f64>>,
    start: Vec<f64>,
    cohorts: Vec<Vec<usize>>,
    after: Vec<After>,
}

#[derive(Deserialize)]
struct After {
    parameters: Vec<f64>,
    variate: Vec<f64>,
}

impl Fixture {
    fn local(&self) -> LocalOptimisation {
        let (steps, rate) = (self.steps, self.local_learning_rate);
        let local = serde_json::json!({
            "optimiser": "sgd", "steps": steps, "batch": 1, "learning_rate": rate,
        });
        serde_json::from_value(local).expect("local steps")
    }

    /// The difference that a client's corrected steps make.
    fn difference(&self, client: usize, start: &[f32], server: &[f32], own: &[f32]) -> Vec<f64> {
        let start: Vec<f64> = start.iter().copied().map(f64::from).collect();
        let mut y = start.clone();
        for _ in 0..self.steps {
            let wants = y.iter().zip(&self.a[client]).zip(&self.b[client]);
            let mut gradient: Vec<f64> = wants.map(|((y, a), b)| a * (y - b)).collect();
            correct(&mut gradient, server, own);
            let steps = y.iter_mut().zip(&gradient);
            steps.for_each(|(y, g)| *y -= self.local_learning_rate * g);
        }
        y.iter().zip(&start).map(|(y, x)| y - x).collect()
    }
}

#[test]
fn twenty_rounds_of_a_part_of_the_clients_come_to_the_papers_numbers() {
    let text = include_str!("scaffold.json");
    let fixture: Fixture = serde_json::from_str(text).expect("a sound fixture");
    let (numbers, clients) = (fixture.start.len(), fixture.a.len());
    let scaffold = named("scaffold").expect("there");
    let mut strategy = scaffold.make(Given::default(), numbers);
    let mut parameters: Vec<f32> = fixture.start.iter().map(|w| *w as f32).collect();
    let mut own = vec![vec![0.0_f32; numbers]; clients];
    let reach = reach(&fixture.local());
    assert_eq!(fixture.after.len(), 20);
    assert!(fixture.cohorts.iter().any(|cohort| cohort.len() < clients));
    for (cohort, after) in fixture.cohorts.iter().zip(&fixture.after) {
        let variate = strategy.variate().expect("a variate");
        let server: Vec<f32> = variate.iter().map(|c| *c as f32).collect();
        let mut mean = vec![0.0; numbers];
        for client in cohort.iter().copied() {
            let delta = fixture.difference(client, &parameters, &server, &own[client]);
            own[client] = moved(&own[client], &server, &delta, reach);
            let sums = mean.iter_mut().zip(&delta);
            sums.for_each(|(sum, delta)| *sum -= delta / clients as f64);
        }
        let of = Step {
            learning_rate: fixture.learning_rate,
            share: Some(cohort.len() as f64 / clients as f64),
            reach: Some(reach),
        };
        strategy.step(&mut parameters, &mean, of);
        let widened: Vec<f64> = parameters.iter().copied().map(f64::from).collect();
        close(&widened, &after.parameters);
        close(strategy.variate().expect("a variate"), &after.variate);
    }
}

fn close(found: &[f64], expected: &[f64]) {
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs();
        assert!(difference <= 1e-6, "{found} for {expected}");
    }
}

#[test]
fn a_round_in_which_nobody_took_part_moves_nothing() {
    let scaffold = named("scaffold").expect("there");
    let mut strategy = scaffold.make(Given::default(), 2);
    let mut parameters = [1.0, 2.0];
    let of = Step {
        learning_rate: 1.0,
        share: Some(0.0),
        reach: Some(0.1),
    };
    strategy.step(&mut parameters, &[0.0, 0.0], of);
    assert_eq!(parameters, [1.0, 2.0]);
    assert_eq!(strategy.variate(), Some(&[0.0, 0.0][..]));
}
