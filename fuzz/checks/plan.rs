//! A plan as a site receives it: read, checked, and turned into a mechanism, terms and spending.

use umbel_privacy::certificate::examine::site_entry;
use umbel_privacy::ledger::{Ledger, MemoryLedgerStorage, chain};
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::Plan;
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
    spends(&plan, BlobDigest::of(input));
}

fn has_a_wire_format(plan: &Plan) {
    let (terms, mechanism) = (plan.terms(), plan.mechanism());
    for refusal in [
        terms.as_ref().err().map(ToString::to_string),
        mechanism.as_ref().err().map(ToString::to_string),
    ] {
        assert!(refusal.is_none_or(|reason| !reason.is_empty()));
    }
    if let (Ok(terms), Ok(mechanism)) = (&terms, &mechanism) {
        assert_eq!(terms.promise.is_some(), mechanism.is_some());
        assert_eq!(mechanism.is_some(), plan.is_private());
    }
    if let (Ok(largest), Ok(width)) = (plan.largest_coordinate(), plan.coordinate_width()) {
        assert!(largest > 0 && (1..=8).contains(&width));
        assert!(width == 8 || largest < 1 << (8 * width - 1));
    }
    assert!(plan.coordinates() >= plan.classifier.parameters);
    assert!(plan.draws() >= u64::from(plan.rounds));
    assert!(plan.accounted_sampling_rate() >= plan.privacy.sampling_rate);
}

/// Whatever a coordinator sends as a round's start is taken apart, or refused.
fn begins_a_round(plan: &Plan) {
    for start in [&[][..], &[0.5; 4], &[f32::NAN; 4], &[0.5, 0.5, 0.5, 0.0]] {
        if let Ok((parameters, threshold)) = plan.start_of_round(start) {
            assert_eq!(parameters.len(), plan.classifier.parameters);
            assert_eq!(
                threshold.is_some(),
                plan.privacy.adaptive_clipping.is_some()
            );
        }
    }
    let (Ok(Some(rule)), first) = (plan.adaptive_clipping(), plan.privacy.clipping_norm) else {
        return;
    };
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
            assert!(
                length <= plan.privacy.clipping_norm * (1.0 + 1e-12),
                "{length}"
            );
        }
    }
}

/// A site spends no more than its budget, and what it writes follows from the plan.
fn spends(plan: &Plan, digest: BlobDigest) {
    let ledger = Ledger::open(MemoryLedgerStorage::default()).expect("it is empty");
    let budget = (plan.privacy.epsilon, plan.privacy.delta);
    let mut spending = match Spending::open(ledger, "visits".into(), budget, plan, digest) {
        Ok(spending) => spending,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    assert!(plan.is_private());
    let draws = u64::from(plan.events_per_round());
    let paid = if plan.is_paid_ahead() {
        spending.pay_ahead(1).and_then(|()| spending.pay_ahead(2))
    } else {
        spending.spend(1, draws, 1).map(|_| ())
    };
    match paid {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(()) => assert!(spending.epsilon() <= plan.privacy.epsilon),
    }
    let snapshot = spending.snapshot().expect("it is in memory");
    let entries = chain::verify(&snapshot.bytes)
        .expect("it was just written")
        .entries;
    let terms = plan.terms().expect("what is spent on has terms");
    for entry in &entries {
        assert_eq!(site_entry(entry, &terms), Ok(()));
    }
}
