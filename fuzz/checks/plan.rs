//! A plan as a site receives it: read, checked, and turned into a mechanism, terms and spending.

use umbel_privacy::certificate::examine::site_entry;
use umbel_privacy::ledger::{Ledger, MemoryLedgerStorage, chain};
use umbel_proto::plan::{AgreedPlan, Plan};
use umbel_proto::spending::Spending;

/// Reads the plan, and checks what must hold of everything that is read.
pub fn check(input: &[u8]) {
    let plan = match Plan::from_json(input) {
        Ok(plan) => plan,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    assert_eq!(Plan::from_json(&plan.to_json()).as_ref(), Ok(&plan));
    has_a_wire_format(&plan);
    begins_a_round(&plan);
    spends(&AgreedPlan::from_bytes(input).expect("it was read"));
}

fn has_a_wire_format(plan: &Plan) {
    let promise = plan.terms().promise;
    assert_eq!(promise.is_some(), plan.mechanism().is_some());
    assert_eq!(promise.is_some(), plan.is_private());
    assert!(plan.largest_coordinate() > 0 && plan.longest_update() > 0);
    assert!(plan.coordinates() >= plan.classifier.parameters);
    assert!(plan.draws() >= u64::from(plan.rounds.get()));
    assert!(plan.accounted_sampling_rate() >= plan.sampling_rate);
}

/// Whatever a coordinator sends as a round's start is taken apart, or refused.
fn begins_a_round(plan: &Plan) {
    for start in [&[][..], &[0.5; 4], &[f32::NAN; 4], &[0.5, 0.5, 0.5, 0.0]] {
        if let Ok(start) = plan.start_of_round(start) {
            assert_eq!(start.parameters.len(), plan.classifier.parameters);
            assert_eq!(
                start.threshold.is_some(),
                plan.adaptive_clipping().is_some()
            );
            assert_eq!(start.variate.is_some(), plan.control_variates);
        }
    }
    let (Some(rule), Some(promise)) = (plan.adaptive_clipping(), plan.protection) else {
        return;
    };
    let first = promise.clipping_norm.get();
    let mut threshold = rule.first_threshold();
    assert_eq!(threshold, first);
    for noisy in [0.0, 1.0, -1e300, f64::INFINITY, f64::NAN] {
        let share = rule.share_found(noisy);
        assert!((0.0..=1.0).contains(&share));
        threshold = rule.next_threshold(threshold, share);
        assert!(threshold > 0.0 && rule.scale(threshold).is_finite());
        for norm in [0.0, threshold, 1e300, f64::NAN] {
            let length =
                (norm.min(threshold) * rule.scale(threshold)).hypot(rule.bit(norm, threshold));
            assert!(length <= first * (1.0 + 1e-12), "{length}");
        }
    }
}

/// A site spends no more than its budget, and what it writes follows from the plan.
fn spends(plan: &AgreedPlan) {
    let ledger = Ledger::open(MemoryLedgerStorage::default()).expect("it is empty");
    let Some(budget) = plan.protection.map(|promise| promise.budget) else {
        return;
    };
    let mut spending = match Spending::open(ledger, "visits".into(), budget, plan) {
        Ok(spending) => spending,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let draws = u64::from(plan.events_per_round());
    let paid = if plan.is_paid_ahead() {
        spending.pay_ahead(1).and_then(|()| spending.pay_ahead(2))
    } else {
        spending.spend(1, draws, 1).map(|_| ())
    };
    match paid {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(()) => assert!(spending.epsilon() <= budget.epsilon()),
    }
    let snapshot = spending.snapshot().expect("it is in memory");
    let entries = chain::verify(&snapshot.bytes)
        .expect("it was just written")
        .entries;
    let terms = plan.terms();
    for entry in &entries {
        assert_eq!(site_entry(entry, &terms), Ok(()));
    }
}
