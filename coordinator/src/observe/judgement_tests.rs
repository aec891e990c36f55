use umbel_model::Target;

use super::*;

fn labels() -> Vec<String> {
    ["bad", "good"].map(str::to_owned).into()
}

/// Rows of label 1 but every `other`th, all answered 1 with a margin, but every `wrong`th.
fn answers(rows: usize, other: usize, wrong: usize, margin: f32) -> Answers {
    let answer = |i: usize| {
        let label = usize::from(!i.is_multiple_of(other));
        let named = if i.is_multiple_of(wrong) {
            1 - label
        } else {
            label
        };
        let mut scores = vec![0.0; 2];
        scores[named] = margin;
        Answer {
            target: Target::Class(label),
            scores,
        }
    };
    Answers::of_rows(2, (0..rows).map(answer).collect())
}

fn judge(answers: &Answers, calibrate: Calibrate) -> (Judgement, Option<Temperature>) {
    let public = PublicData::default();
    let (judgement, adjustment) = Judgement::of(answers, &public, &labels(), calibrate);
    let temperature = adjustment.map(|adjustment| match adjustment {
        Adjustment::Temperature(temperature) => temperature,
        Adjustment::Thresholds(thresholds) => panic!("{thresholds:?}"),
    });
    (judgement, temperature)
}

#[test]
fn a_model_that_may_be_as_good_as_one_answer_is_told_so() {
    // 3 of 4 rows are good, and 3 of 4 are right.
    let (judgement, _) = judge(&answers(400, 4, 4, 2.0), Calibrate::Off);
    let verdict = judgement.verdict.unwrap();
    let start = "No better than always answering \"good\", which is right on 75.0 % of these rows";
    assert!(verdict.starts_with(start), "{verdict}");
    // 19 of 20 are right.
    let (judgement, _) = judge(&answers(400, 4, 20, 2.0), Calibrate::Off);
    assert_eq!(judgement.verdict, None);
    let majority = judgement.majority.unwrap();
    assert_eq!((majority.label.as_str(), majority.share), ("good", 0.75));
}

#[test]
fn claims_that_are_too_sure_are_mended_on_rows_that_they_were_not_fitted_on() {
    // Each claims 0.9999, and 6 of 7 are right.
    let all = answers(700, 4, 7, 9.0);
    let (judgement, temperature) = judge(&all, Calibrate::Fit);
    let calibration = judgement.calibration.unwrap();
    let before = calibration.before.clone().unwrap();
    assert!(
        before.ece > 0.1 && calibration.now.ece < 0.02,
        "{calibration:?}"
    );
    assert!(calibration.now.loss < before.loss);
    assert_eq!(calibration.fitted_on + calibration.examples, 700);
    assert_eq!(calibration.temperature, temperature.map(Temperature::get));
    assert!(calibrated_loss(&all).unwrap() < all.evaluation().overall.loss());
    // No label changes.
    let tempered = all.clone().at(temperature.unwrap());
    let (before, after) = (all.evaluation().overall, tempered.evaluation().overall);
    assert_eq!(before.get("accuracy"), after.get("accuracy"));
    // Whoever is given the tempered scores and the temperature finds what there was before.
    let (again, none) = judge(&tempered, Calibrate::Already(temperature));
    let again = again.calibration.unwrap().before.unwrap();
    assert!((again.loss - before.loss()).abs() < 1e-5 && none.is_none());
}

#[test]
fn without_enough_rows_scores_are_left_alone_and_a_note_says_why() {
    let (judgement, temperature) = judge(&answers(60, 4, 7, 9.0), Calibrate::Fit);
    assert_eq!(temperature, None);
    let note = judgement.calibration.unwrap().note.unwrap();
    // Of 15 and 45 rows of each label, every other one from the second on.
    assert!(note.contains("there are 29 rows to fit it on"), "{note}");
    assert!(judgement.bag_of_words.is_none());
    let (judgement, _) = judge(&Answers::of_rows(2, Vec::new()), Calibrate::Fit);
    assert!(judgement.majority.is_none() && judgement.intervals.is_none());
    assert!(judgement.calibration.is_none() && judgement.verdict.is_none());
    let (judgement, temperature) = judge(&answers(400, 4, 7, 9.0), Calibrate::Off);
    let note = judgement.calibration.unwrap().note;
    assert_eq!(
        (temperature, note.as_deref()),
        (None, Some("evaluation.calibrate is false"))
    );
}

#[test]
fn a_label_without_rows_has_no_area_and_one_name_one_interval() {
    let all = answers(300, 1_000, 3, 1.0);
    let only_good = Answers::of_rows(2, all.all().into_iter().skip(1).cloned().collect());
    let (judgement, _) = judge(&only_good, Calibrate::Fit);
    assert_eq!(judgement.auc, None);
    assert_eq!(judgement, judge(&only_good, Calibrate::Fit).0);
}
