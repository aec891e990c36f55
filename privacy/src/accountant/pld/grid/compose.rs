//! The composition of losses on one grid, tilted by e^{θL}: a product of Fourier transforms.
//!
//! The sum of the losses modulo W = N h comes back as masses y ≥ 0 that add up to one. With the
//! kernel G(t) = Σ_{m≥0} e^{-θ(t+mW)} (1 - e^{-(t+mW)}),
//! e^{K - θε} Σ_t y(ε + t) G(t) = Σ_m e^{θmW} δ(ε + mW): δ(ε), plus terms that aren't negative and
//! that are bounded where a lower bound is wanted.

use realfft::RealFftPlanner;

use super::law::{Beyond, Bound, Law};
use super::normal::ULP;
use super::strays::Strays;

/// A sum of losses, tilted.
pub(super) struct Sum {
    bound: Bound,
    theta: f64,
    step: f64,
    /// Σ of the offsets of all losses.
    offset: f64,
    /// K(θ) of the sum.
    ln_moment: f64,
    /// y, by the number of the grid point modulo N.
    masses: Vec<f64>,
    /// e^{-θt} (1 - e^{-t}) at t = h, 2 h, …, W; from above with its repetitions.
    kernel: Vec<f64>,
    /// A bound on the error of Σ y G that transforms and powers make.
    error: f64,
    /// The relative error of δ that errors of masses make.
    relative: f64,
    /// P's and Q's mass of runs of which at least one lies beyond its grid.
    beyond: Beyond,
    /// A bound on Q's mass of runs that lie beyond a grid and still have a total below ε.
    strays: Strays,
    /// What repetitions may add to δ, without the factor e^{-θ₂ε}: (ln, θ₂).
    right: (f64, f64),
}

/// Covers the rounding of a few products and exponentials.
const ROUNDED_UP: f64 = 1.0 + 1e-12;

/// ln of a size that is none beside what rounding makes of numbers near one.
const LN_VANISHED: f64 = -200.0;

/// The transform's relative error in the Euclidean norm is at most this times the number of its
/// levels: Higham 2002, Theorem 24.2, has 6.7 units of rounding a level for radix 2.
const TRANSFORM_ERROR: f64 = 8.0 * ULP;

impl Sum {
    /// `laws` with their counts, all of one bound and step, on a circle of `size` points. None where
    /// errors would be as large as the result.
    pub(super) fn new(
        bound: Bound,
        laws: &[(Law, u64)],
        theta: f64,
        size: usize,
        right: (f64, f64),
        strays: Strays,
    ) -> Option<Self> {
        let step = laws.first()?.0.step;
        let mut planner = RealFftPlanner::<f64>::new();
        let forward = planner.plan_fft_forward(size);
        let mut spectrum = vec![(0.0f64, 0.0f64); size / 2 + 1];
        let levels = (size as f64).log2() + 3.0;
        let mut sum_error = 0.0;
        let mut relative = 0.0;
        let (mut offset, mut ln_moment) = (0.0, 0.0);
        // ln of the mass of runs that all lie on their grids.
        let mut inside = Beyond::default();
        let (mut largest_offset, mut largest_moment) = (0.0, 0.0);
        for (law, count) in laws {
            let times = *count as f64;
            let tilted = Tilted::of(law, theta, size);
            let mut input = tilted.masses;
            let norm = input.iter().map(|x| x * x).sum::<f64>().sqrt();
            let mut output = forward.make_output_vec();
            forward.process(&mut input, &mut output).ok()?;
            for (total, value) in spectrum.iter_mut().zip(&output) {
                total.0 += times * 0.5 * value.norm_sqr().ln();
                // What has vanished needs no angle.
                if total.0 > LN_VANISHED {
                    total.1 += times * value.arg();
                }
            }
            // |φ| <= 1 in truth, so that an error d of it becomes at most n d (1 + d)^{n-1} of its power.
            let one = TRANSFORM_ERROR * levels * norm + ULP * 8.0;
            sum_error += times * one * (times * one).exp();
            relative += times * (law.error + tilted.error);
            offset += times * law.offset;
            largest_offset += times * law.offset.abs();
            ln_moment += times * tilted.ln_moment;
            largest_moment += times * tilted.ln_moment.abs();
            inside.p += times * (-law.beyond.p).ln_1p();
            inside.q += times * (-law.beyond.q).ln_1p();
        }
        let backward = planner.plan_fft_inverse(size);
        let mut input = backward.make_input_vec();
        for (value, (ln_size, angle)) in input.iter_mut().zip(&spectrum) {
            if *ln_size > LN_VANISHED {
                let (sin, cos) = angle.sin_cos();
                let size = ln_size.exp();
                (value.re, value.im) = (size * cos, size * sin);
            }
        }
        // At both ends the transform of real numbers is real.
        if let Some(first) = input.first_mut() {
            first.im = 0.0;
        }
        if let Some(last) = input.last_mut() {
            last.im = 0.0;
        }
        let mut masses = backward.make_output_vec();
        backward.process(&mut input, &mut masses).ok()?;
        let scale = 1.0 / size as f64;
        for mass in &mut masses {
            *mass *= scale;
        }
        let kernel = kernel(bound, theta, step, size);
        let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
        // Logarithms and angles were multiplied by the counts: up to 745 units, and π each.
        let runs: f64 = laws.iter().map(|(_, count)| *count as f64).sum();
        let powers = ULP * (2000.0 + 16.0 * runs);
        let kernel_norm = norm(&kernel);
        let masses_norm = norm(&masses);
        let rounding = ULP * size as f64 * kernel.iter().fold(0.0, |m: f64, k| m.max(*k)) * 4.0;
        let error = kernel_norm
            * (sum_error + masses_norm * (powers + 2.0 * TRANSFORM_ERROR * levels))
            + rounding * masses_norm.min(1.0);
        relative += 8.0 * ULP * (largest_moment + theta * largest_offset);
        (error.is_finite() && relative < 0.1 && ln_moment.is_finite()).then_some(Self {
            bound,
            theta,
            step,
            offset,
            ln_moment,
            masses,
            kernel,
            error,
            relative,
            beyond: Beyond {
                p: -inside.p.exp_m1(),
                q: -inside.q.exp_m1(),
            },
            right,
            strays,
        })
    }

    /// The loss of a point of the grid.
    pub(super) fn loss(&self, point: i64) -> f64 {
        point as f64 * self.step + self.offset
    }

    /// The point at or below a loss.
    pub(super) fn point(&self, loss: f64) -> Option<i64> {
        let point = ((loss - self.offset) / self.step).floor();
        (point.abs() < 1e15).then_some(point as i64)
    }

    /// How far rounding may have moved [`Self::loss`].
    pub(super) fn loss_error(&self, point: i64) -> f64 {
        16.0 * ULP * (self.offset.abs() + (point as f64 * self.step).abs())
    }

    /// ln of what errors of transforms may add to δ at a loss.
    pub(super) fn ln_error(&self, loss: f64) -> f64 {
        self.ln_moment - self.theta * loss + self.error.ln()
    }

    pub(super) fn step(&self) -> f64 {
        self.step
    }

    /// The bound of δ at a point of the grid: at most 1 from above, at least 0 from below.
    pub(super) fn delta(&self, point: i64) -> f64 {
        let size = self.masses.len() as i64;
        let start = (point + 1).rem_euclid(size) as usize;
        let (wrapped, straight) = self.masses.split_at(start);
        let (near, far) = self.kernel.split_at(straight.len());
        let sum = dot(straight, near) + dot(wrapped, far);
        let loss = self.loss(point);
        let exponent = self.ln_moment - self.theta * loss;
        let rounding = 8.0 * ULP * (self.ln_moment.abs() + (self.theta * loss).abs() + 8.0);
        let relative = self.relative + rounding;
        match self.bound {
            Bound::Upper => {
                let value = exponent.exp() * (sum + self.error) * (1.0 + 2.0 * relative);
                // NaN, too, becomes 1: nothing is known then.
                // Runs beyond the grid have δ P - e^ε Q together, but for those that fall back below ε.
                let fallen = self.strays.ln_fallen(loss).exp() * ROUNDED_UP;
                // e^ε Q as one exponential: the factors by themselves may be infinite and zero.
                let grown = (loss + self.beyond.q.ln()).exp() / ROUNDED_UP;
                let beyond = self.beyond.p * ROUNDED_UP - grown;
                let beyond = if beyond > 0.0 { beyond } else { 0.0 };
                let value = value + beyond + fallen;
                if value < 1.0 { value.max(0.0) } else { 1.0 }
            }
            Bound::Lower => {
                let value = exponent.exp() * (sum - self.error) * (1.0 - 2.0 * relative);
                let period = self.step * size as f64;
                let left = (-self.theta * period).exp();
                let (ln_right, theta) = self.right;
                let right = (ln_right - theta * loss).exp();
                let grown = (loss + self.beyond.q.ln()).exp() * ROUNDED_UP;
                let beyond = self.beyond.p / ROUNDED_UP - grown;
                let value = value - left / (1.0 - left) - right + beyond;
                if value > 0.0 { value.min(1.0) } else { 0.0 }
            }
        }
    }
}

/// One loss, tilted, on the circle.
struct Tilted {
    masses: Vec<f64>,
    ln_moment: f64,
    error: f64,
}

impl Tilted {
    fn of(law: &Law, theta: f64, size: usize) -> Self {
        let exponent = |&(point, ln_p): &(i64, f64)| ln_p + theta * law.loss(point);
        let points = || law.points.iter();
        let largest = points().fold(f64::NEG_INFINITY, |m, point| m.max(exponent(point)));
        let sum: f64 = points()
            .map(|point| (exponent(point) - largest).exp())
            .sum();
        let ln_moment = largest + sum.ln();
        let mut masses = vec![0.0; size];
        let mut widest: f64 = 0.0;
        for &(point, ln_p) in &law.points {
            let exponent = exponent(&(point, ln_p)) - ln_moment;
            if exponent > -70.0 {
                widest = widest.max(ln_p.abs() + (theta * law.loss(point)).abs());
            }
            let place = point.rem_euclid(size as i64) as usize;
            masses[place] += exponent.exp();
        }
        Self {
            masses,
            ln_moment,
            // Of the exponents; what adds up at one place of the circle is positive. Beyond e^-70 larger
            // errors don't matter: they are charged as if they were of the whole.
            error: ULP * (16.0 + 4.0 * widest + 4.0 * ln_moment.abs()) + 1e-25,
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight partial sums: less rounding, and they run side by side.
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// See [`Sum::kernel`].
fn kernel(bound: Bound, theta: f64, step: f64, size: usize) -> Vec<f64> {
    let period = step * size as f64;
    let repeated = (-theta * period).exp() / -(-theta * period).exp_m1();
    (1..=size)
        .map(|k| {
            let t = k as f64 * step;
            let fall = (-theta * t).exp();
            match bound {
                // e^{-θ(t+mW)} (1 - e^{-(t+mW)}) <= e^{-θ(t+mW)}, summed over m >= 1.
                Bound::Upper => fall * (-(-t).exp_m1() + repeated),
                Bound::Lower => fall * -(-t).exp_m1(),
            }
        })
        .collect()
}
