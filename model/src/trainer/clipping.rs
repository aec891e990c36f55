//! What bounds a unit's part in a sum.

/// What is done to a unit's gradient before it is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clipping {
    /// Nothing: plain training.
    None,
    /// It is scaled by min(1, C/norm) (Abadi et al. 2016, Algorithm 1), with this C.
    Flat(f64),
    /// It is scaled by C/(norm + 0.01), with this C (AUTO-S of Bu et al. 2023, "Automatic
    /// Clipping", with their γ = 0.01): every unit counts about the same, and the norm stays
    /// below C.
    Automatic(f64),
    /// It is scaled by min(1, 2 r) C/(norm + 0.01), with this C, where r in [0, 1] is the unit's
    /// residual: how far the model's answers are from what is right.
    ///
    /// Where nearly all gradients are longer than C, the other two rules have a row that the model
    /// has right pull as hard as one that it has wrong, and training comes to rest where these
    /// balance rather than where the loss is least. A gradient's length is the residual times that of
    /// the model's slope. This rule keeps the first factor and takes the second away.
    Residual(f64),
}

/// γ of automatic clipping: it keeps the factor finite, and gradients much smaller than it
/// small.
const STABILITY: f64 = 0.01;

/// The residual from which on a unit counts in full: that of a row whose right label has a
/// probability of one half.
const IN_FULL: f64 = 0.5;

impl Clipping {
    /// The factor of a unit whose gradient has this norm, a finite number, and whose residual is
    /// this. Whatever the residual, the scaled gradient is no longer than C.
    pub(crate) fn factor(self, norm: f64, residual: f64) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Flat(c) if norm > c => c / norm,
            Self::Flat(_) => 1.0,
            Self::Automatic(c) => c / (norm + STABILITY),
            Self::Residual(c) => {
                let share = residual / IN_FULL;
                // What is no number counts as nothing; `clamp` would let it through.
                let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
                share * (c / (norm + STABILITY))
            }
        }
    }

    /// Whether a factor may be above 1, so that a product with it may overflow though the
    /// gradient is finite.
    pub(crate) fn may_enlarge(self) -> bool {
        match self {
            Self::None | Self::Flat(_) => false,
            Self::Automatic(_) | Self::Residual(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: [fn(f64) -> Clipping; 3] =
        [Clipping::Flat, Clipping::Automatic, Clipping::Residual];

    proptest! {
        #[test]
        fn no_norm_and_no_residual_lets_a_unit_count_more_than_c(
            norm in prop_oneof![Just(0.0), Just(f64::MAX), 1e-300..1e300_f64, 0.0..10.0_f64],
            residual in prop_oneof![
                Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(f64::MAX), 0.0..1.0_f64,
            ],
            c in 1e-6..1e6_f64,
        ) {
            for rule in RULES {
                let counted = rule(c).factor(norm, residual) * norm;
                prop_assert!((0.0..=c * (1.0 + 1e-15)).contains(&counted), "{:?} {counted}", rule(c));
            }
        }
    }

    #[test]
    fn a_unit_counts_by_its_residual_up_to_one_half_and_then_in_full() {
        let counted = |residual| 2.0 * Clipping::Residual(0.5).factor(2.0, residual);
        let full = counted(1.0);
        assert!((0.49..0.5).contains(&full), "{full}");
        assert_eq!(counted(0.5), full);
        assert!((counted(0.05) - 0.1 * full).abs() < 1e-15);
        assert_eq!(counted(0.0), 0.0);
        assert_eq!(counted(f64::NAN), 0.0);
    }
}
