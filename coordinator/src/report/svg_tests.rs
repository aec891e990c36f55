use super::*;

fn chart(points: &[(u32, f64)], limit: Option<f64>) -> Option<String> {
    line_chart(&Chart {
        title: "Loss",
        points,
        limit: limit.map(|y| (y, "budget".to_owned())),
        include: &[],
        most: None,
        write: |y| format!("{y:.2}"),
    })
    .map(Html::into_string)
}

fn labels(axis: &Axis) -> Vec<String> {
    axis.ticks().map(|(_, label)| label).collect()
}

#[test]
fn ticks_of_shares_are_where_their_labels_say() {
    let axis = Axis::of_shares();
    for (value, label) in axis.ticks() {
        let read: f64 = label.parse().expect("a number");
        assert!((read - value).abs() < 1e-9, "{label} is at {value}");
    }
    assert_eq!((axis.low, axis.high()), (0.0, 1.0));
}

#[test]
fn without_a_number_there_is_no_chart() {
    assert_eq!(chart(&[], None), None);
    assert_eq!(chart(&[], Some(8.0)), None);
    assert_eq!(
        chart(&[(1, f64::NAN), (2, f64::INFINITY), (3, 1e200)], None),
        None
    );
}

#[test]
fn a_single_point_is_a_mark_without_a_line() {
    let svg = chart(&[(1, 0.693)], None).expect("a chart");
    assert!(
        svg.contains("<circle") && svg.contains("round 1: 0.69"),
        "{svg}"
    );
    assert!(!svg.contains("<path"), "{svg}");
}

#[test]
fn what_is_not_a_number_parts_the_line() {
    let svg = chart(
        &[(1, 1.0), (2, 0.9), (3, f64::NAN), (4, 0.8), (5, 0.7)],
        None,
    )
    .expect("a chart");
    let path = svg
        .split("d=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a path");
    assert_eq!(path.matches('M').count(), 2, "{path}");
    assert_eq!(path.matches('L').count(), 2, "{path}");
    assert_eq!(svg.matches("<circle").count(), 4);
}

#[test]
fn many_points_are_a_line_with_its_last_point_marked() {
    let points: Vec<(u32, f64)> = (1..=500).map(|i| (i, 1.0 / f64::from(i))).collect();
    let svg = chart(&points, None).expect("a chart");
    assert_eq!(svg.matches("<circle").count(), 1);
    assert_eq!(svg.matches(" L").count(), 499);
}

#[test]
fn the_axis_reaches_the_limit() {
    let svg = chart(&[(1, 1.0), (2, 1.5)], Some(8.0)).expect("a chart");
    assert!(
        svg.contains("class=\"limit\"") && svg.contains(">budget<"),
        "{svg}"
    );
    let axis = Axis::around([1.0, 1.5, 8.0, 0.0].into_iter(), None).expect("an axis");
    assert_eq!(labels(&axis), ["0", "2", "4", "6", "8"]);
}

#[test]
fn ticks_are_round_numbers_around_the_values() {
    let around = |values: &[f64], most| {
        labels(&Axis::around(values.iter().copied(), most).expect("an axis"))
    };
    assert_eq!(
        around(&[0.71, 0.754], Some(1.0)),
        ["0.70", "0.72", "0.74", "0.76"]
    );
    assert_eq!(
        around(&[-0.1, 0.1], None),
        ["-0.10", "-0.05", "0.00", "0.05", "0.10"]
    );
    assert_eq!(around(&[1.0], Some(1.0)), ["0.90", "0.95", "1.00"]);
    assert_eq!(labels(&Axis::of_rounds(1)), ["0", "1"]);
    assert_eq!(
        labels(&Axis::of_rounds(180)),
        ["0", "50", "100", "150", "180"]
    );
    assert_eq!(
        labels(&Axis::of_rounds(160)),
        ["0", "50", "100", "160"],
        "a tick at 150 would crowd the last"
    );
    assert_eq!(labels(&Axis::of_rounds(3)), ["0", "1", "2", "3"]);
}

#[test]
fn huge_small_and_equal_values_are_drawn_within_the_frame() {
    for values in [
        [1e99, -1e99],
        [1e-300, 2e-300],
        [3.0, 3.0],
        [0.0, 0.0],
        [1e16, 1e16 + 2.0],
    ] {
        let points = [(1, values[0]), (u32::MAX, values[1])];
        let svg = chart(&points, None).expect("a chart");
        for circle in svg.split("cy=\"").skip(1) {
            let y: f64 = circle
                .split('"')
                .next()
                .and_then(|y| y.parse().ok())
                .expect("a number");
            assert!((0.0..=HEIGHT).contains(&y), "{values:?}: {y}");
        }
    }
}
