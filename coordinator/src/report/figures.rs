//! How numbers are written for people.

/// A number that is shown where none is.
pub(super) const NONE: &str = "–";

/// `1204` as `1,204`.
pub(super) fn count(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 row`, `2 rows`.
pub(super) fn counted(number: u32, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A score with three decimals.
pub(super) fn score(number: f64) -> String {
    if number.is_finite() {
        format!("{number:.3}")
    } else {
        "not a number".into()
    }
}

/// An epsilon, never rounded down: two decimals, or two digits below 0.1.
pub(super) fn epsilon(number: f64) -> String {
    if number.is_nan() {
        return "not a number".into();
    }
    if number >= 1e9 {
        return "unbounded".into();
    }
    if number <= 0.0 {
        return "0".into();
    }
    let decimals = if number >= 0.1 {
        2
    } else {
        (-number.log10().floor()).clamp(2.0, 300.0) as usize + 1
    };
    let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(300));
    // A billionth of the last digit is forgiven, so that 2.3 isn't written as 2.31 only because
    // 2.3 * 100 is a little above 230 in binary.
    let raised = (number * scale - 1e-9).ceil() / scale;
    format!("{raised:.decimals$}")
}

/// A share as a percentage of about three digits, never rounded down.
pub(super) fn share(number: f64) -> String {
    if number.is_nan() {
        return "not a number".into();
    }
    let percent = 100.0 * number.clamp(0.0, 1.0);
    let decimals: usize = match percent {
        p if p >= 100.0 => 0,
        p if p >= 10.0 => 1,
        p if p >= 1.0 => 2,
        _ => 3,
    };
    let scale = 10_f64.powi(decimals as i32);
    let raised = ((percent * scale - 1e-9).ceil() / scale).clamp(0.0, 100.0) + 0.0;
    format!("{raised:.decimals$} %")
}

/// Any parameter: plain where that is short, else with an exponent.
pub(super) fn parameter(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e6).contains(&size) {
        let text = format!("{number:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else if number.is_finite() {
        let text = format!("{number:.4e}");
        match text.split_once('e') {
            Some((digits, exponent)) => {
                let digits = digits.trim_end_matches('0').trim_end_matches('.');
                format!("{digits}e{exponent}")
            }
            None => text,
        }
    } else {
        "not a number".into()
    }
}

/// Bytes in decimal units.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} bytes");
    }
    let mut value = number as f64 / 1e3;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 999.95 {
            break;
        }
        value /= 1e3;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A duration in the two units that matter.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.into();
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    // The cast saturates.
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match hours {
        0 => format!("{minutes} min {seconds} s"),
        _ => format!("{} h {minutes} min", count(hours)),
    }
}

/// How many times as likely `exp(epsilon)` makes a conclusion, in words; `None` beyond a million,
/// where "at most" would comfort for nothing.
pub(super) fn times_as_likely(epsilon: f64) -> Option<String> {
    let factor = epsilon.exp();
    if factor.is_nan() || factor >= 1e6 {
        None
    } else if factor >= 100.0 {
        // Below a million, so the cast is exact.
        Some(format!("{} times", count(factor.ceil() as u32)))
    } else {
        Some(format!("{:.2} times", (factor * 100.0).ceil() / 100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epsilon_is_never_rounded_down() {
        let found = [
            8.0,
            7.981,
            2.3,
            0.1 + 0.2,
            0.05,
            0.01234,
            0.0,
            1e300,
            f64::INFINITY,
        ]
        .map(epsilon);
        let expected = [
            "8.00",
            "7.99",
            "2.30",
            "0.30",
            "0.050",
            "0.013",
            "0",
            "unbounded",
            "unbounded",
        ];
        assert_eq!(found, expected);
        assert_eq!(epsilon(f64::NAN), "not a number");
    }

    #[test]
    fn parameters_are_short_and_exact_enough_to_be_typed_in() {
        let found = [1e-5, 0.002, 0.5, 1.0, 1024.0, 0.0659, 2.5e7, 0.0].map(parameter);
        assert_eq!(
            found,
            ["1e-5", "0.002", "0.5", "1", "1024", "0.0659", "2.5e7", "0"]
        );
    }

    #[test]
    fn sizes_and_times_choose_their_unit() {
        let found = [0, 999, 1000, 999_949, 999_951, 12_345_678, u64::MAX].map(bytes);
        let expected = [
            "0 bytes",
            "999 bytes",
            "1.0 kB",
            "999.9 kB",
            "1.0 MB",
            "12.3 MB",
            "18446744.1 TB",
        ];
        assert_eq!(found, expected);
        let found = [0.04, 59.94, 59.96, 252.0, 7_260.0, f64::NAN, -1.0].map(duration);
        assert_eq!(
            found,
            [
                "0.0 s",
                "59.9 s",
                "1 min 0 s",
                "4 min 12 s",
                "2 h 1 min",
                "–",
                "–"
            ]
        );
    }

    #[test]
    fn the_factor_of_an_epsilon_is_rounded_up() {
        let found = [0.0, 1.0, 8.0, 20.0, f64::INFINITY].map(times_as_likely);
        let expected = [
            Some("1.00 times"),
            Some("2.72 times"),
            Some("2,981 times"),
            None,
            None,
        ];
        assert_eq!(found, expected.map(|times| times.map(str::to_owned)));
    }

    #[test]
    fn a_share_is_never_rounded_down() {
        let found = [0.0, 0.000_012, 0.0101, 0.5231, 0.999_99, 1.0, f64::NAN].map(share);
        let expected = [
            "0.000 %",
            "0.002 %",
            "1.01 %",
            "52.4 %",
            "100.0 %",
            "100 %",
            "not a number",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn one_is_singular() {
        let found = [0, 1, 2].map(|n| counted(n, "round"));
        assert_eq!(found, ["0 rounds", "1 round", "2 rounds"]);
    }
}
