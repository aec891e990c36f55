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
        classes: 2,
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
    assert_eq!(
        (scores.accuracy, scores.loss, scores.examples),
        (0.0, 0.0, 0)
    );
}
