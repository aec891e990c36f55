//! What a certificate claims is held against ledger and plan.

use super::*;

#[test]
fn what_the_signer_claims_is_held_against_the_ledger() {
    type Change = fn(&mut Certificate);
    fn guarantee(certificate: &mut Certificate) -> &mut Guarantee {
        certificate.guarantee.as_mut().unwrap()
    }
    let cases: [(&str, Change); 18] = [
        ("epsilon", |c| guarantee(c).data_set.epsilon = Some(0.1)),
        ("epsilon", |c| guarantee(c).run.epsilon = Some(0.1)),
        ("epsilon", |c| guarantee(c).total.epsilon = Some(0.1)),
        ("epsilon", |c| guarantee(c).total = accounted(3)),
        ("plan", |c| c.base.weights = Sha256Digest::of(b"another")),
        ("base model", |c| {
            c.base.certificate = Some(Sha256Digest::of(b"its own"))
        }),
        ("epsilon", |c| guarantee(c).data_set = accounted(3)),
        ("epsilon", |c| {
            guarantee(c).accountant.name = "abacus".into()
        }),
        ("plan", |c| {
            guarantee(c).noise_multiplier = NoiseMultiplier::try_from(2.0).unwrap()
        }),
        ("plan", |c| {
            guarantee(c).sampling_rate = SamplingRate::try_from(0.05).unwrap()
        }),
        ("plan", |c| {
            guarantee(c).clipping_norm = ClippingNorm::try_from(0.1).unwrap()
        }),
        ("plan", |c| c.run.rounds_released = 4),
        ("plan", |c| c.run.name = "another".into()),
        ("plan", |c| c.run.plan_sha256 = Sha256Digest::of(b"another")),
        ("entries", |c| c.ledger.first_of_run = 3),
        ("budget", |c| guarantee(c).budget_epsilon = 0.5),
        ("statement", |c| c.protects_nobody = true),
        ("ledger", |c| c.ledger.entries = 4),
    ];
    for (name, change) in cases {
        let failures = with(change).failures();
        assert!(failures.contains(&name), "{name}: {failures:?}");
    }
}

#[test]
fn a_run_that_protects_nobody_says_so_and_hides_nothing() {
    let seeded = with(|c| {
        c.guarantee.as_mut().unwrap().seeded = true;
        c.protects_nobody = true;
    });
    // The plan says otherwise here.
    assert_eq!(seeded.failures(), ["plan"]);
    let nobody = with(|c| {
        c.guarantee = None;
        c.protects_nobody = true;
    });
    assert_eq!(nobody.failures(), ["plan"], "the plan promises protection");
    let mut planned = terms();
    planned.promise = None;
    let examination = nobody.examine_by(&Ok(planned));
    let entries = examination.checks.iter().find(|c| c.name == "entries");
    let says = &entries.unwrap().detail;
    assert!(says.contains("leaves one mark"), "{says}");
    let statement = nobody.examine().checks.remove(3);
    assert_eq!(
        (statement.name, statement.outcome),
        ("statement", Outcome::Open)
    );
    assert!(
        statement.detail.contains("PROTECTS NOBODY"),
        "{}",
        statement.detail
    );
}

#[test]
fn another_format_asks_for_the_version_that_wrote_it() {
    for other in [FORMAT_VERSION - 1, FORMAT_VERSION + 1] {
        let changed = with(|c| c.version = other);
        let refused = SignedCertificate::read(&changed.certificate);
        assert_eq!(refused, Err(InvalidCertificate::Version(other)));
    }
}

#[test]
fn every_field_that_follows_from_the_plan_is_held_against_it() {
    type Change = fn(&mut Terms);
    fn promise(terms: &mut Terms) -> &mut Promise {
        terms.promise.as_mut().unwrap()
    }
    fn other(sigma: f64) -> NoiseMultiplier {
        NoiseMultiplier::try_from(sigma).unwrap()
    }
    let cases: [(&str, Change); 15] = [
        ("run.name", |t| t.run = "another".into()),
        ("run.rounds_planned", |t| t.rounds = 4),
        ("guarantee.seeded", |t| t.seeded = true),
        ("protects_nobody", |t| t.seeded = true),
        ("guarantee.unit", |t| t.promise = None),
        ("guarantee.unit", |t| promise(t).unit = PrivacyUnit::Group),
        ("guarantee.adjacency", |t| {
            promise(t).adjacency = Adjacency::ReplaceOne
        }),
        ("guarantee.placement", |t| {
            promise(t).placement = NoisePlacement::Local
        }),
        ("guarantee.noise_multiplier", |t| {
            promise(t).noise_multiplier = other(1.0)
        }),
        ("guarantee.sampling_rate", |t| {
            promise(t).sampling_rate = SamplingRate::try_from(0.5).unwrap()
        }),
        ("guarantee.draws_per_round", |t| {
            promise(t).draws_per_round = 2
        }),
        ("guarantee.mechanism", |t| {
            promise(t).mechanism = MechanismEvent::gaussian(other(1.0))
        }),
        ("guarantee.clipping_norm", |t| {
            promise(t).clipping_norm = ClippingNorm::try_from(0.1).unwrap()
        }),
        ("guarantee.delta", |t| {
            promise(t).delta = Delta::try_from(1e-6).unwrap()
        }),
        ("guarantee.budget_epsilon", |t| {
            promise(t).budget_epsilon = 2.0
        }),
    ];
    let run = run();
    for (field, change) in cases {
        let mut planned = terms();
        change(&mut planned);
        let examination = run.examine_by(&Ok(planned));
        assert!(!examination.holds(), "{field}");
        let plan = examination.checks.iter().find(|check| check.name == "plan");
        let says = &plan.unwrap().detail;
        for word in [field, "certificate.json", "plan.json"] {
            assert!(says.contains(word), "{field}: {says}");
        }
    }
    let unreadable = run.examine_by(&Err("it isn't readable".into()));
    assert!(!unreadable.holds());
}

#[test]
fn entries_beyond_the_plan_are_named() {
    let run = run();
    let named = |change: fn(&mut Terms)| {
        let mut planned = terms();
        change(&mut planned);
        let examination = run.examine_by(&Ok(planned));
        let entries = examination.checks.into_iter();
        entries
            .filter(|check| check.name == "entries")
            .map(|check| (check.outcome, check.detail))
            .next()
            .unwrap()
    };
    let (outcome, says) = named(|t| t.rounds = 2);
    assert_eq!(outcome, Outcome::Fails);
    assert!(
        says.contains("its round is 3, and plan.json has rounds 1 to 2"),
        "{says}"
    );
    let (outcome, says) = named(|t| {
        t.promise.as_mut().unwrap().mechanism =
            MechanismEvent::gaussian(NoiseMultiplier::try_from(1.0).unwrap())
    });
    assert_eq!(outcome, Outcome::Fails);
    assert!(says.contains("entry 2 of ledger.jsonl"), "{says}");
    assert!(says.contains("1.3") && says.contains("1.0"), "{says}");
}

#[test]
fn without_the_plan_nothing_holds() {
    let run = run();
    let examination = examine(&Evidence {
        certificate: &run.certificate,
        plan: None,
        ledger: Some(&run.ledger),
        base: None,
        files: &[],
        key: None,
        sites: SiteEvidence {
            receipts: &[],
            keys: &BTreeMap::new(),
        },
    });
    let plan = examination.checks.iter().find(|check| check.name == "plan");
    assert_eq!(plan.unwrap().outcome, Outcome::Fails);
}
