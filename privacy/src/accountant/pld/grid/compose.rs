//! The composition of losses on one grid, tilted by e^{θL}: a product of Fourier transforms.
//!
//! The sum of the losses modulo W = N h comes back as masses y ≥ 0 that add up to one. With the
//! kernel G(t) = Σ_{m≥0} e^{-θ(t+mW)} (1 - e^{-(t+mW)}),
//! e^{K - θε} Σ_t y(ε + t) G(t) = Σ_m e^{θmW} δ(ε + mW): δ(ε), plus terms that aren't negative and
//! that are bounded where a lower bound is wanted.

use std::f64::consts::PI;
use std::ops::Range;

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

/// φ = E(e^{iu L}) of one loss at one frequency.
struct Factor {
    /// ln |φ|, and its angle.
    ln: f64,
    angle: f64,
    /// A bound on the error of φ but for the transform's.
    error: f64,
}

/// The product of factors at one frequency, each as often as it occurs.
#[derive(Clone, Copy, Default)]
struct Power {
    ln: f64,
    angle: f64,
    /// ln of the factor by which errors make it larger, at most: Σ n ln(1 + error/|φ|), and rounding of `ln` and `angle`.
    growth: f64,
}

impl Power {
    fn multiply(&mut self, factor: &Factor, times: f64, laws: f64) {
        self.ln += times * factor.ln;
        self.angle += times * factor.angle;
        let exponents = times * (factor.ln.abs() + factor.angle.abs());
        self.growth += times * (factor.error * (-factor.ln).exp()).ln_1p()
            + 4.0 * ULP * (3.0 + laws) * exponents;
    }

    fn is_near_one(&self) -> bool {
        self.ln.abs() + self.angle.abs() < 0.5
    }

    fn value(&self) -> (f64, f64) {
        if self.ln > LN_VANISHED {
            let (sin, cos) = self.angle.sin_cos();
            let size = self.ln.exp();
            (size * cos, size * sin)
        } else {
            (0.0, 0.0)
        }
    }

    /// The same less one, without loss where that is small.
    fn less_one(&self) -> (f64, f64) {
        let (sin, cos) = self.angle.sin_cos();
        let half = (self.angle / 2.0).sin();
        let re = self.ln.exp_m1() * cos - 2.0 * half * half;
        (re, self.ln.exp() * sin)
    }

    /// A bound on its error but for that of the factors' transforms.
    fn error(&self) -> f64 {
        let error = self.ln.exp() * self.growth.exp_m1();
        // Where a factor is next to nothing.
        if error.is_nan() || self.growth > 1.0 {
            (self.ln + self.growth).exp()
        } else {
            error
        }
    }
}

/// What transforms round, in the Euclidean norm of the sum's masses.
struct Rounded {
    /// Σ n d, d being the error of one loss' transform, in the norm of its masses.
    transforms: f64,
    /// The same at the frequency where it is largest, and all else that rounding makes of φ.
    largest: f64,
    all_centred: bool,
}

impl Default for Rounded {
    fn default() -> Self {
        Self {
            transforms: 0.0,
            largest: 0.0,
            all_centred: true,
        }
    }
}

impl Rounded {
    /// A loss that occurs `times`.
    fn add(&mut self, loss: &Tilted, times: f64) {
        let size = loss.far.len() as f64;
        let transform = TRANSFORM_ERROR * (size.log2() + 3.0) * norm(&loss.far);
        self.transforms += times * transform;
        self.largest += times * (transform * size.sqrt() + loss.error_at(PI));
        self.all_centred &= loss.centred;
    }

    /// A bound on ‖Δy‖, when masses of this norm came out.
    fn error(&self, levels: f64, norm: f64) -> f64 {
        // |φ| <= 1 in truth, so that an error d of it adds at most n d (1 + 2 d)^{n-1} to its power.
        let transforms = self.transforms * (2.0 * self.largest).exp();
        // Exponentials are rounded relative to themselves; then the transform back, and the sum of products with the
        // kernel, which is made of blocks.
        let back = (2.0 * TRANSFORM_ERROR * levels + 256.0 * ULP) * norm;
        transforms + back + VANISHED
    }
}

/// What has vanished was left out.
const VANISHED: f64 = 1e-80;

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// One loss, tilted, on the circle, turned so that its largest mass is at 0.
///
/// Where the loss is mostly at or near 0, φ - 1 is computed in place of φ: the mass at 0 is what the others leave, so
/// that φ(u) - 1 = Σ x (e^{iuj} - 1) over the others, of which those near 0 are added up one by one, and those far away
/// transformed. Rounding then is a part of |φ - 1|, which is small wherever a high power of φ isn't.
struct Tilted {
    /// Masses by place that are transformed, and their sum.
    far: Vec<f64>,
    far_sum: f64,
    /// Masses at j and -j, j = 1, 2, …, and Σ j times their sum.
    near: Vec<(f64, f64)>,
    near_moment: f64,
    /// Whether the mass at 0 was left out.
    centred: bool,
    /// The number of the point that is at 0.
    centre: i64,
    ln_moment: f64,
    /// The relative error of the masses.
    error: f64,
}

/// Where so little isn't at the most frequent place, all of it is transformed.
pub(super) const RARE: f64 = 0.125;

/// Of fewer runs errors of transforms don't matter.
const FEW: f64 = 300.0;

/// Places on either side of the most frequent one that are added up one by one.
const NEAR: usize = 16;

/// Less than this at the most frequent place is too little to be what others leave.
const LEAST_CENTRE: f64 = 1.0 / 64.0;

impl Tilted {
    fn of(law: &Law, theta: f64, size: usize, times: f64) -> Self {
        let exponent = |&(point, ln_p): &(i64, f64)| ln_p + theta * law.loss(point);
        let points = || law.points.iter();
        let (largest, centre) = points().fold((f64::NEG_INFINITY, 0), |most, point| {
            let exponent = exponent(point);
            if exponent > most.0 {
                (exponent, point.0)
            } else {
                most
            }
        });
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
            let place = (point - centre).rem_euclid(size as i64) as usize;
            masses[place] += exponent.exp();
        }
        // Of the exponents; what adds up at one place of the circle is positive. Beyond e^-70 larger
        // errors don't matter: they are charged as if they were of the whole.
        let error = ULP * (16.0 + 4.0 * widest + 4.0 * ln_moment.abs()) + 1e-25;
        let mut tilted = Self {
            far: masses,
            far_sum: 0.0,
            near: Vec::new(),
            near_moment: 0.0,
            centred: false,
            centre,
            ln_moment,
            error,
        };
        tilted.centre(times);
        tilted
    }

    /// Takes out what is at 0, and near it, where that makes rounding smaller.
    fn centre(&mut self, times: f64) {
        let size = self.far.len();
        let others = self.far.get(1..).map_or(0.0, sum_of);
        let rare = others < RARE;
        let left = 1.0 - others;
        if !rare && (times < FEW || left < LEAST_CENTRE || size <= 4 * NEAR) {
            return;
        }
        self.centred = true;
        // The mass at 0 errs by what the others and the moment do.
        self.error *= 2.0 + 1.0 / left;
        self.far[0] = 0.0;
        if !rare {
            for j in 1..=NEAR {
                let pair = (self.far[j], self.far[size - j]);
                self.near.push(pair);
                self.near_moment += j as f64 * (pair.0 + pair.1);
                (self.far[j], self.far[size - j]) = (0.0, 0.0);
            }
        }
        self.far_sum = sum_of(&self.far);
    }

    /// φ at u, where the masses far from 0 have the transform `far`.
    fn at(&self, u: f64, far: (f64, f64)) -> Factor {
        let (re, im) = far;
        let (ln, angle) = if self.centred {
            let near = self.near_at(u);
            let (re, im) = (re - self.far_sum + near.0, im + near.1);
            let ln = if re.abs() + im.abs() < 0.5 {
                0.5 * (re * (2.0 + re) + im * im).ln_1p()
            } else {
                (1.0 + re).hypot(im).ln()
            };
            (ln, im.atan2(1.0 + re))
        } else {
            (0.5 * (re * re + im * im).ln(), im.atan2(re))
        };
        Factor {
            ln: ln.max(LEAST_LN),
            angle,
            error: self.error_at(u),
        }
    }

    /// Σ x (e^{-iuj} - 1) of the masses near 0: transforms turn that way.
    fn near_at(&self, u: f64) -> (f64, f64) {
        if self.near.is_empty() {
            return (0.0, 0.0);
        }
        // e^{iu} - 1, and with its powers e^{iuj} - 1 = (e^{iu(j-1)} - 1) e^{iu} + (e^{iu} - 1).
        let half = (u / 2.0).sin();
        let (sin, cos) = u.sin_cos();
        let one = (-2.0 * half * half, sin);
        let mut power = one;
        let (mut re, mut im) = (0.0, 0.0);
        for (up, down) in &self.near {
            re += (up + down) * power.0;
            im -= (up - down) * power.1;
            power = (
                power.0 * cos - power.1 * sin + one.0,
                power.0 * sin + power.1 * cos + one.1,
            );
        }
        (re, im)
    }

    /// A bound on the error of φ at u but for the transform's: a few units of φ - 1, 4 j of each e^{iuj} - 1 <= j u, and
    /// 32 of the sum of what is far; or a few units of φ itself.
    fn error_at(&self, u: f64) -> f64 {
        if self.centred {
            ULP * (128.0 * u * self.near_moment + 160.0 * self.far_sum)
        } else {
            8.0 * ULP
        }
    }
}

/// ln of what is next to nothing.
const LEAST_LN: f64 = -700.0;

/// Sums within blocks of so many, which are then added up, round less than one long sum: a short block where every unit
/// counts, and a longer one, which is faster.
const SHORT_BLOCK: usize = 128;
const BLOCK: usize = 1024;

/// Of positive numbers, to 32 units of rounding.
fn sum_of(values: &[f64]) -> f64 {
    pairwise(0..values.len(), SHORT_BLOCK, &|range| {
        let values = values.get(range).unwrap_or_default();
        let (lanes, rest) = values.as_chunks::<8>();
        let mut sums = [0.0; 8];
        for lane in lanes {
            for (sum, value) in sums.iter_mut().zip(lane) {
                *sum += value;
            }
        }
        sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    pairwise(0..a.len().min(b.len()), BLOCK, &|range| {
        let (Some(a), Some(b)) = (a.get(range.clone()), b.get(range)) else {
            return 0.0;
        };
        // Eight partial sums: they run side by side.
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
    })
}

/// The sum of what blocks of a range have, halves by halves.
fn pairwise(range: Range<usize>, block: usize, sum: &dyn Fn(Range<usize>) -> f64) -> f64 {
    if range.len() <= block {
        return sum(range);
    }
    let middle = range.start + (range.len() / 2).next_multiple_of(block);
    pairwise(range.start..middle, block, sum) + pairwise(middle..range.end, block, sum)
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
