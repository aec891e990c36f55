//! The composition of losses on one grid, tilted by e^{θL}: a product of Fourier transforms.
//!
//! The sum of the losses modulo W = N h comes back as masses y ≥ 0 that add up to one. With the
//! kernel G(t) = Σ_{m≥0} e^{-θ(t+mW)} (1 - e^{-(t+mW)}),
//! e^{K - θε} Σ_t y(ε + t) G(t) = Σ_m e^{θmW} δ(ε + mW): δ(ε), plus terms that aren't negative and
//! that are bounded where a lower bound is wanted.

use std::f64::consts::PI;

use realfft::RealFftPlanner;

use super::circle::Tilted;
use super::law::{Beyond, Bound, Law};
use super::normal::ULP;
use super::powers::{Power, Rounded};
use super::strays::Strays;
use super::sums::{dot, norm};

/// A sum of losses, tilted.
pub(super) struct Sum {
    bound: Bound,
    theta: f64,
    step: f64,
    /// Σ of the offsets of all losses.
    offset: f64,
    /// K(θ) of the sum.
    ln_moment: f64,
    /// y, by the number of the grid point less `turned`, modulo N, without the atom.
    masses: Vec<f64>,
    turned: i64,
    /// What y has at `turned` besides.
    atom: f64,
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
        let mut spectrum = vec![Power::default(); size / 2 + 1];
        let levels = (size as f64).log2() + 3.0;
        let mut rounded = Rounded::default();
        let mut relative = 0.0;
        let (mut offset, mut ln_moment) = (0.0, 0.0);
        // ln of the mass of runs that all lie on their grids.
        let mut inside = Beyond::default();
        let (mut largest_offset, mut largest_moment) = (0.0, 0.0);
        let mut turned: i128 = 0;
        for (law, count) in laws {
            let times = *count as f64;
            let mut tilted = Tilted::of(law, theta, size, times);
            rounded.add(&tilted, times);
            let mut output = forward.make_output_vec();
            forward.process(&mut tilted.far, &mut output).ok()?;
            for (k, (power, far)) in spectrum.iter_mut().zip(&output).enumerate() {
                let u = 2.0 * PI * k as f64 / size as f64;
                power.multiply(&tilted.at(u, (far.re, far.im)), times, laws.len() as f64);
            }
            turned += i128::from(*count) * i128::from(tilted.centre);
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
        // Where the sum hardly ever differs from its centre, only by how much it does is transformed.
        let unmoved = rounded.all_centred && spectrum.iter().all(Power::is_near_one);
        let mut squares = 0.0;
        for (value, power) in input.iter_mut().zip(&spectrum) {
            let error = power.error();
            squares += 2.0 * error * error;
            (value.re, value.im) = if unmoved {
                power.less_one()
            } else {
                power.value()
            };
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
        let powers = (squares * scale).sqrt();
        let error = norm(&kernel) * (powers + rounded.error(levels, norm(&masses)));
        relative += 8.0 * ULP * (largest_moment + theta * largest_offset)
            + 4.0 * ULP * (16.0 + theta * step * size as f64);
        (error.is_finite() && relative < 0.1 && ln_moment.is_finite()).then_some(Self {
            bound,
            theta,
            step,
            offset,
            ln_moment,
            masses,
            turned: turned.rem_euclid(size as i128) as i64,
            atom: if unmoved { 1.0 } else { 0.0 },
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
        let start = (point + 1 - self.turned).rem_euclid(size) as usize;
        let (wrapped, straight) = self.masses.split_at(start);
        let (near, far) = self.kernel.split_at(straight.len());
        // The kernel at the atom, which is the first of those that were wrapped around, or of all.
        let at_atom = far.first().or(near.first()).copied().unwrap_or(0.0);
        let sum = dot(straight, near) + dot(wrapped, far) + self.atom * at_atom;
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
