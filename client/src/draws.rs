//! Whether a site is drawn as often as an honest coordinator would draw it.
//!
//! Where the client is the unit and the coordinator adds the noise, a site pays a price that
//! counts on being drawn by chance, at the plan's sampling rate. It can't see the draw. But
//! it sees how often it is asked, and beyond a certain number the price isn't believable.

/// The chance with which an honest run's draws are refused at one site, at most.
const CHANCE: f64 = 1e-9;

/// Whether an honest coordinator may well draw one client `asked` times in `seen` rounds, each
/// with probability `rate`. It is asked about after every one of `planned` rounds, so that each
/// answer gets its share of [`CHANCE`].
///
/// With k of n rounds and the rate q: P(Bin(n, q) >= k) <= exp(-n KL(k/n || q)) for k/n > q
/// (Chernoff; Hoeffding 1963, theorem 1). So honest draws are refused less often than [`CHANCE`]
/// says, never more.
pub(crate) fn believable(asked: u32, seen: u32, rate: f64, planned: u32) -> bool {
    let share = f64::from(asked) / f64::from(seen.max(1));
    if share <= rate {
        return true;
    }
    let log_tail = -f64::from(seen) * divergence(share.min(1.0), rate);
    log_tail >= (CHANCE / f64::from(planned.max(1))).ln()
}

/// KL(a || q) of two coins.
fn divergence(a: f64, q: f64) -> f64 {
    let term = |p: f64, r: f64| if p > 0.0 { p * (p / r).ln() } else { 0.0 };
    term(a, q) + term(1.0 - a, 1.0 - q)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P(Bin(n, q) >= k), added up term by term.
    fn tail(k: u32, n: u32, q: f64) -> f64 {
        let ln_choose: f64 = (1..=k)
            .map(|i| (f64::from(n - k + i) / f64::from(i)).ln())
            .sum();
        let mut term =
            (ln_choose + f64::from(k) * q.ln() + f64::from(n - k) * (1.0 - q).ln()).exp();
        let mut sum = 0.0;
        for i in k..=n {
            sum += term;
            term *= f64::from(n - i) / f64::from(i + 1) * q / (1.0 - q);
        }
        sum
    }

    #[test]
    fn what_is_refused_is_rarer_than_one_in_a_billion_in_all_rounds_together() {
        for (rounds, q) in [
            (20, 0.05),
            (200, 0.01),
            (500, 0.3),
            (40, 0.9),
            (1000, 0.001),
        ] {
            let mut chance = 0.0;
            for n in 1..=rounds {
                if let Some(k) = (1..=n).find(|k| !believable(*k, n, q, rounds)) {
                    chance += tail(k, n, q);
                }
            }
            assert!(chance < CHANCE, "{rounds} rounds at {q}: {chance}");
        }
    }

    #[test]
    fn a_site_that_is_always_drawn_soon_stops_believing_it() {
        let first_refused =
            |rounds, q| (1..=rounds).find(|round| !believable(*round, *round, q, rounds));
        assert_eq!(first_refused(20, 0.05), Some(8));
        assert_eq!(first_refused(1000, 0.02), Some(8));
        assert_eq!(first_refused(1000, 1.0), None);
    }

    #[test]
    fn being_drawn_about_as_often_as_expected_is_believed() {
        for asked in 0..=14 {
            assert!(believable(asked, 100, 0.05, 100), "{asked}");
        }
        assert!(!believable(100, 100, 0.5, 100));
    }
}
