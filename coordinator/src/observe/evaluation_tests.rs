use super::*;

fn answers(files: &[&[(usize, [f32; 2])]]) -> Answers {
    let answer = |(label, scores): &(usize, [f32; 2])| Answer {
        target: Target::Class(*label),
        scores: scores.to_vec(),
    };
    let file = |(i, rows): (usize, &&[(usize, [f32; 2])])| {
        (format!("file {i}"), rows.iter().map(answer).collect())
    };
    Answers {
        task: Task::SingleLabel,
        classes: 2,
        thresholds: vec![Threshold::default(); 2],
        files: files.iter().enumerate().map(file).collect(),
    }
}

#[test]
fn of_equal_scores_the_first_label_is_named() {
    let tied = Answer {
        target: Target::Class(1),
        scores: vec![0.5, 0.5],
    };
    assert_eq!(tied.prediction(), 0);
}

#[test]
fn both_halves_have_every_label_of_every_file() {
    let rows = [
        (0, [0.0, 1.0]),
        (1, [0.0, 1.0]),
        (0, [1.0, 0.0]),
        (1, [1.0, 0.0]),
    ];
    let all = answers(&[&rows, &rows[..1]]);
    let halves = all.halves();
    let places = |half: &[(usize, &Answer)]| half.iter().map(|(i, _)| *i).collect::<Vec<_>>();
    // A label with one row is judged on it.
    assert_eq!(places(&halves.judged), [0, 1, 4]);
    assert_eq!(places(&halves.fitted), [2, 3]);
}

#[test]
fn a_sample_of_answers_is_spread_over_the_files() {
    let rows: Vec<_> = (0..10).map(|i| (i % 2, [0.0, i as f32])).collect();
    let all = answers(&[&rows, &rows]);
    let sample = all.sample(7);
    assert_eq!(sample.all().len(), 8);
    assert_eq!(sample.all()[1].scores, [0.0, 3.0]);
    assert_eq!(all.sample(0), all);
}

#[test]
fn no_rows_score_zero() {
    let scores = answers(&[]).evaluation().overall;
    assert_eq!(scores.get("accuracy"), Some(0.0));
    assert_eq!((scores.loss(), scores.examples()), (0.0, 0));
}

fn several(rows: &[(&[usize], [f32; 3])]) -> Answers {
    let answer = |(labels, scores): &(&[usize], [f32; 3])| Answer {
        target: Target::labels(labels.to_vec()),
        scores: scores.to_vec(),
    };
    Answers {
        task: Task::MultiLabel,
        classes: 3,
        thresholds: vec![Threshold::default(); 3],
        files: vec![("all".into(), rows.iter().map(answer).collect())],
    }
}

#[test]
fn labels_are_given_from_their_threshold_on() {
    let answer = &several(&[(&[], [0.0, -1.0, 40.0])]).files[0].1[0];
    let at = |thresholds: [f64; 3]| {
        let thresholds = thresholds.map(|t| Threshold::try_from(t).expect("a threshold"));
        answer.given(&thresholds)
    };
    assert_eq!(at([0.5, 0.5, 0.5]), [0, 2]);
    assert_eq!(at([0.0, 0.0, 0.0]), [0, 1, 2]);
    // Only what is sure to the last digit.
    assert_eq!(at([1.0, 1.0, 1.0]), [2]);
}

#[test]
fn scores_of_several_labels_are_those_calculated_by_hand() {
    let rows: [(&[usize], [f32; 3]); 3] = [
        (&[0, 2], [1.0, -1.0, -1.0]),
        (&[], [-1.0, -1.0, -1.0]),
        (&[0, 1, 2], [1.0, 1.0, 1.0]),
    ];
    let scores = several(&rows).evaluation().overall;
    // Four labels are hit, one is missed.
    assert_eq!(scores.get("micro_f1"), Some(8.0 / 9.0));
    assert_eq!(scores.get("exact_match"), Some(2.0 / 3.0));
    let right = (-1.0_f64).exp().ln_1p();
    let expected = (8.0 * right + 1.0_f64.exp().ln_1p()) / 9.0;
    assert!((scores.loss() - expected).abs() < 1e-12);
}

#[test]
fn errors_of_values_are_in_their_own_unit() {
    let json = r#"{"kind": "regression", "offset": 10.0, "scale": 2.0}"#;
    let answer = |value: f64, output: f32| Answer {
        target: Target::Value(value),
        scores: vec![output],
    };
    let answers = Answers {
        task: serde_json::from_str(json).expect("a task"),
        classes: 1,
        thresholds: vec![Threshold::default()],
        files: vec![("all".into(), vec![answer(10.0, 0.0), answer(14.0, 3.0)])],
    };
    let scores = answers.evaluation().overall;
    assert_eq!(scores.get("rmse"), Some(2.0_f64.sqrt()));
    assert_eq!(
        (scores.get("mae"), scores.get("r2")),
        (Some(1.0), Some(0.5))
    );
    assert!((scores.loss() - 0.5).abs() < 1e-12);
}

#[test]
fn what_thresholds_are_judged_on_is_what_they_arent_fitted_on() {
    let rows: Vec<(&[usize], [f32; 3])> = (0..6).map(|i| (&[][..], [i as f32, 0.0, 0.0])).collect();
    let answers = several(&rows);
    let judged = answers.judged_at(vec![Threshold::default(); 3]);
    let first = |answers: &Answers| {
        answers
            .all()
            .iter()
            .map(|a| a.scores[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(first(&judged), [0.0, 2.0, 4.0]);
}
