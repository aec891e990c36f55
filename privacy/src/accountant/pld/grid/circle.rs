//! One loss, tilted, on a circle of points, and its transform.

use super::law::Law;
use super::normal::ULP;
use super::powers::Factor;
use super::sums::sum_of;

/// One loss, tilted, on the circle, turned so that its largest mass is at 0.
///
/// Where the loss is mostly at or near 0, φ - 1 is computed in place of φ: the mass at 0 is what the others leave, so
/// that φ(u) - 1 = Σ x (e^{iuj} - 1) over the others, of which those near 0 are added up one by one, and those far away
/// transformed. Rounding then is a part of |φ - 1|, which is small wherever a high power of φ isn't.
pub(super) struct Tilted {
    /// Masses by place that are transformed, and their sum.
    pub(super) far: Vec<f64>,
    far_sum: f64,
    /// Masses at j and -j, j = 1, 2, …, and Σ j times their sum.
    near: Vec<(f64, f64)>,
    near_moment: f64,
    /// Whether the mass at 0 was left out.
    pub(super) centred: bool,
    /// The number of the point that is at 0.
    pub(super) centre: i64,
    pub(super) ln_moment: f64,
    /// The relative error of the masses.
    pub(super) error: f64,
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
    pub(super) fn of(law: &Law, theta: f64, size: usize, times: f64) -> Self {
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
    pub(super) fn at(&self, u: f64, far: (f64, f64)) -> Factor {
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
    pub(super) fn error_at(&self, u: f64) -> f64 {
        if self.centred {
            ULP * (128.0 * u * self.near_moment + 160.0 * self.far_sum)
        } else {
            8.0 * ULP
        }
    }
}

/// ln of what is next to nothing.
const LEAST_LN: f64 = -700.0;
