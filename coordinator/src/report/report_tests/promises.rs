//! What a report says is protected, and from whom.

use super::*;

#[test]
fn the_first_lines_say_what_is_protected_and_what_is_not() {
    let text = words(&render(&run()));
    let hits = run().strength.expect("a bound").true_positives;
    let expected = format!(
        "Run sentiment Moderate protection of whether any one row was in the training \
        data, and so what it says, from everybody but the coordinator, which is trusted. What is protected Against whom: anyone who sees every model that this \
        run released, whatever else they know. How well: epsilon 7.99 at delta 1e-5, for one row \
        added or removed (add-or-remove). So whatever they see was at most 2,925 times as likely \
        with it as without it, plus a probability of 1e-5. Smaller is stronger. What is left to an \
        attacker: whoever wrongly suspects 1 % of those who weren&#39;t there finds at most {hits} \
        of those who were. What is not protected Against the coordinator: it sees each site&#39;s sum before the noise is added",
        hits = figures::share(hits)
    );
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn a_run_without_privacy_or_with_a_seed_protects_nobody() {
    let first = |privacy| {
        let statement = Statement::of(&privacy);
        assert!(!statement.protects() && statement.protected.is_empty());
        statement.lines().swap_remove(0)
    };
    assert_eq!(
        first(unprotected()),
        "No privacy protection: this run protects nobody."
    );
    let mut seeded = private(PrivacyUnit::Client, NoisePlacement::Local);
    seeded.seeded = true;
    assert_eq!(
        first(seeded.clone()),
        "This run was seeded: its noise can be predicted and it protects nobody."
    );
    let page = render(&RunSummary {
        strength: Strength::of(&seeded),
        privacy: seeded,
        ..run()
    });
    assert!(!words(&page).contains("attacker"));
    assert!(page.contains("class=\"protection nobody\""));
    assert!(!words(&page).contains("What is protected"));
}

#[test]
fn of_several_runs_the_budget_is_what_holds_and_not_what_is_spent() {
    let mut second = run();
    promise(&mut second).epsilon_spent = 2.5;
    assert_eq!(second.privacy.epsilon_guaranteed(), Some(2.5));
    promise(&mut second).spans_runs = true;
    assert_eq!(second.privacy.epsilon_guaranteed(), Some(8.0));
    let text = words(&render(&second));
    assert!(text.contains("How well: epsilon 8.00"), "{text}");
    assert!(
        text.contains("2.50 of it is spent so far; that figure alone is no guarantee"),
        "{text}"
    );
    second.privacy.seeded = true;
    assert_eq!(second.privacy.epsilon_guaranteed(), None);
}

#[test]
fn a_run_with_next_to_no_noise_says_so_in_a_red_headline() {
    let mut weak = run();
    promise(&mut weak).noise_multiplier = 0.2;
    let statement = Statement::of(&weak.privacy);
    assert!(statement.headline.starts_with("Next to no protection"));
    assert!(statement.headline.contains("0.2, below 0.3"));
    let figures = statement.protected.join(" ");
    assert!(figures.contains("epsilon 7.99"), "{figures}");
    assert!(render(&weak).contains("class=\"protection nobody\""));
    assert!(render(&run()).contains("class=\"protection moderate\""));
}

#[test]
fn each_unit_and_placement_names_its_own_secret_and_adversary() {
    let lines = |unit, placement| Statement::of(&private(unit, placement)).lines().join("\n");
    let group = lines(PrivacyUnit::Group, NoisePlacement::Central);
    assert!(
        group.contains("the rows of any one patient_id at a site"),
        "{group}"
    );
    let client = lines(PrivacyUnit::Client, NoisePlacement::Central);
    assert!(
        client.contains("whether any one client took part"),
        "{client}"
    );
    assert!(
        client.contains("but not which clients were drawn"),
        "{client}"
    );
    let local = lines(PrivacyUnit::Record, NoisePlacement::Local);
    assert!(
        local.contains("Against whom: the coordinator, the other sites"),
        "{local}"
    );
    assert!(local.contains("of the site that spent most"), "{local}");
    assert!(
        !local.contains("Not protected: Against the coordinator"),
        "{local}"
    );
    for unit in [PrivacyUnit::Record, PrivacyUnit::Group, PrivacyUnit::Client] {
        for placement in [NoisePlacement::Central, NoisePlacement::Local] {
            let text = lines(unit, placement);
            assert!(text.contains("(add-or-remove)"), "{text}");
            assert!(
                text.contains("Not protected: Rows of the evaluation files"),
                "{text}"
            );
        }
    }
}

#[test]
fn replacing_a_row_hides_what_it_says_but_not_that_it_is_there() {
    let mut replaced = run();
    promise(&mut replaced).adjacency = Adjacency::ReplaceOne;
    let text = Statement::of(&replaced.privacy).lines().join("\n");
    assert!(
        text.starts_with("Moderate protection of what any one row of the training data says,"),
        "{text}"
    );
    assert!(
        text.contains("for one row replaced by another (replace-one)"),
        "{text}"
    );
    assert!(
        text.contains("Not protected: That one row was there at all"),
        "{text}"
    );
}

#[test]
fn a_run_that_diverged_says_so_and_which_model_is_left() {
    let mut diverged = run();
    diverged.training.rounds_done = 7;
    diverged.ending = Ending::Diverged {
        round: 7,
        kept: Some(6),
    };
    let text = words(&render(&diverged));
    assert!(text.contains("Diverged after 7 of 180 rounds"), "{text}");
    assert!(text.contains("lower learning rate"), "{text}");
    assert!(
        text.contains("The model that is kept is that of round 6."),
        "{text}"
    );
    assert!(
        Statement::of_run(&diverged).protects(),
        "round 6 is protected"
    );
    diverged.ending = Ending::Diverged {
        round: 1,
        kept: None,
    };
    let statement = Statement::of_run(&diverged);
    assert!(!statement.protects() && statement.protected.is_empty());
}

#[test]
fn a_run_without_a_released_round_protects_nobody_whatever_it_promised() {
    let mut failed = run();
    failed.training.rounds_done = 0;
    failed.ending = Ending::BudgetExhausted;
    for placement in [NoisePlacement::Central, NoisePlacement::Local] {
        failed.privacy = private(PrivacyUnit::Record, placement);
        let page = render(&failed);
        assert!(page.contains("protection nobody") && !page.contains("protection moderate"));
        let text = words(&page);
        assert!(text.contains("No round was released"), "{text}");
        assert!(!text.contains("oderate protection"), "{text}");
        assert!(!text.contains("attacker"), "{text}");
        assert!(text.contains("stays spent"), "{text}");
    }
}

#[test]
fn an_exhausted_budget_is_an_ordinary_ending() {
    let mut exhausted = run();
    exhausted.ending = Ending::BudgetExhausted;
    exhausted.training.rounds_done = 57;
    let text = words(&render(&exhausted));
    assert!(
        text.contains("Budget exhausted after 57 of 180 rounds"),
        "{text}"
    );
}
