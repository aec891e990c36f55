//! Whether a classifier's probabilities are what they say.

/// Rows whose claims are of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClaimBin {
    /// Claims above this (of the first bin, from it on).
    pub from: f64,
    /// And up to this.
    pub to: f64,
    /// Rows.
    pub examples: usize,
    /// Mean claim: of each row, the probability of the label that it was given. 0 without rows.
    pub confidence: f64,
    /// Share of the rows that were classified correctly. 0 without rows.
    pub accuracy: f64,
}

/// Equal bins between 0 and 1 that claims are put in, as in Guo et al. 2017.
pub const CLAIM_BINS: usize = 15;

/// Puts rows (the claim, and whether it was right) into [`CLAIM_BINS`] bins of equal width, each
/// with its upper end. A claim that isn't a number is in none.
pub fn reliability(claims: &[(f64, bool)]) -> Vec<ClaimBin> {
    let width = CLAIM_BINS as f64;
    let empty = |i: usize| ClaimBin {
        from: i as f64 / width,
        to: (i + 1) as f64 / width,
        ..ClaimBin::default()
    };
    let mut bins: Vec<ClaimBin> = (0..CLAIM_BINS).map(empty).collect();
    for (claim, right) in claims.iter().filter(|(claim, _)| !claim.is_nan()) {
        // The cast saturates.
        let place = ((claim * width).ceil() as usize).clamp(1, CLAIM_BINS) - 1;
        let bin = &mut bins[place];
        bin.examples += 1;
        bin.confidence += claim;
        bin.accuracy += f64::from(u8::from(*right));
    }
    for bin in bins.iter_mut().filter(|bin| bin.examples > 0) {
        bin.confidence /= bin.examples as f64;
        bin.accuracy /= bin.examples as f64;
    }
    bins
}

/// The expected calibration error: the mean over rows of how far their bin's accuracy is from its
/// confidence (Guo et al. 2017, equation 3). `None` without rows.
pub fn expected_calibration_error(bins: &[ClaimBin]) -> Option<f64> {
    let rows: usize = bins.iter().map(|bin| bin.examples).sum();
    let error = |bin: &ClaimBin| (bin.accuracy - bin.confidence).abs() * bin.examples as f64;
    (rows > 0).then(|| bins.iter().map(error).sum::<f64>() / rows as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn claims_of_nine_tenths_that_are_right_half_the_time_are_off_by_four_tenths() {
        let claims: Vec<_> = (0..10).map(|i| (0.9, i % 2 == 0)).collect();
        let bins = reliability(&claims);
        let error = expected_calibration_error(&bins).unwrap();
        assert!((error - 0.4).abs() < 1e-12, "{error}");
        assert_eq!(bins.iter().filter(|bin| bin.examples > 0).count(), 1);
    }

    #[test]
    fn ends_belong_to_the_bin_below_and_what_is_no_number_to_none() {
        let bins = reliability(&[
            (0.0, false),
            (1.0 / 15.0, true),
            (1.0, true),
            (f64::NAN, true),
        ]);
        assert_eq!((bins[0].examples, bins[14].examples), (2, 1));
        assert_eq!(bins.iter().map(|bin| bin.examples).sum::<usize>(), 3);
        assert_eq!(expected_calibration_error(&reliability(&[])), None);
    }

    proptest! {
        #[test]
        fn the_error_is_a_share(
            claims in prop::collection::vec((0.0..=1.0_f64, any::<bool>()), 1..60),
        ) {
            let error = expected_calibration_error(&reliability(&claims)).unwrap();
            prop_assert!((0.0..=1.0).contains(&error));
        }
    }
}
