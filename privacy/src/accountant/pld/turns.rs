//! Complex numbers that turn side by side: the inner loop of a characteristic function.

/// Numbers that are computed side by side.
pub(super) const LANES: usize = 8;

/// [`LANES`] complex numbers.
pub(super) struct Turns {
    re: [f64; LANES],
    im: [f64; LANES],
}

impl Turns {
    /// e^{i u x} for each x.
    pub(super) fn of(u: f64, x: &[f64; LANES]) -> Self {
        let pairs = x.map(|x| (u * x).sin_cos());
        Self {
            re: pairs.map(|(_, cos)| cos),
            im: pairs.map(|(sin, _)| sin),
        }
    }

    /// Each times a real number.
    pub(super) fn times(mut self, factors: &[f64; LANES]) -> Self {
        for ((re, im), factor) in self.re.iter_mut().zip(&mut self.im).zip(factors) {
            *re *= factor;
            *im *= factor;
        }
        self
    }

    /// Each times another.
    pub(super) fn turn(&mut self, by: &Self) {
        for lane in 0..LANES {
            let (re, im) = (self.re[lane], self.im[lane]);
            self.re[lane] = re * by.re[lane] - im * by.im[lane];
            self.im[lane] = re * by.im[lane] + im * by.re[lane];
        }
    }

    /// The sum of all, in partial sums, one a lane.
    pub(super) fn sum(all: &[Self]) -> (f64, f64) {
        let (mut re, mut im) = ([0.0; LANES], [0.0; LANES]);
        for turns in all {
            for lane in 0..LANES {
                re[lane] += turns.re[lane];
                im[lane] += turns.im[lane];
            }
        }
        (re.iter().sum(), im.iter().sum())
    }
}
