//! Layer normalisation (Ba et al. 2016) of a sum: what comes out of a linear layer, its bias,
//! and what went around it, added and normalised in one pass. RMSNorm (Zhang and Sennrich 2019) is the
//! same without taking the mean away.

use super::vector::{add, both, dot, sum, widely};

/// What one normalisation needs.
pub(super) struct Norm<'a> {
    /// γ, `[width]`
    pub(super) gamma: &'a [f32],
    /// β, `[width]`
    pub(super) beta: &'a [f32],
    /// Added to the variance.
    pub(super) epsilon: f32,
    /// Whether the mean is taken away first.
    pub(super) centred: bool,
}

/// What is added to a linear layer's product before it is normalised.
pub(super) struct Summands<'a> {
    /// The linear layer's bias, `[width]`; dropped out together with the product.
    pub(super) bias: &'a [f32],
    /// Dropout's mask, `[N, width]`.
    pub(super) mask: Option<&'a [f32]>,
    /// What went around the layer, `[N, width]`.
    pub(super) residual: &'a [f32],
}

impl Norm<'_> {
    /// Turns the rows of `x`, `[N, width]`, into the normalised sums x̂, and writes γ x̂ + β to
    /// `out` and 1/√(variance + ε) of each row to `inverse`, `[N]`.
    pub(super) fn forward(
        &self,
        x: &mut [f32],
        summands: Option<&Summands<'_>>,
        inverse: &mut [f32],
        out: &mut [f32],
    ) {
        widely(
            #[inline(always)]
            || self.forward_rows(x, summands, inverse, out),
        );
    }

    /// What [`Self::forward`] does. Slices that are arguments are known not to overlap; from within a closure the
    /// compiler sees that or doesn't, by how it happens to cut the crate.
    #[inline(always)]
    fn forward_rows(
        &self,
        x: &mut [f32],
        summands: Option<&Summands<'_>>,
        inverse: &mut [f32],
        out: &mut [f32],
    ) {
        let width = self.gamma.len().max(1);
        // Slices by their places: a chain of iterators becomes a call for every row.
        for row in 0..inverse.len() {
            let place = row * width..(row + 1) * width;
            let (x, out) = (&mut x[place.clone()], &mut out[place.clone()]);
            if let Some(summands) = summands {
                add(x, summands.bias);
                if let Some(mask) = summands.mask {
                    multiply(x, &mask[place.clone()]);
                }
                add(x, &summands.residual[place]);
            }
            inverse[row] = self.normalise(x);
            scale_and_shift(out, x, self.gamma, self.beta);
        }
    }

    /// Normalises one row, and gives the factor that it was multiplied by.
    #[inline(always)]
    fn normalise(&self, x: &mut [f32]) -> f32 {
        let width = x.len() as f32;
        // In two passes: in one, Σx² - (Σx)² would cancel where the mean is far from zero.
        if self.centred {
            let mean = sum(x) / width;
            for x in x.iter_mut() {
                *x -= mean;
            }
        }
        let inverse = 1.0 / (dot(x, x) / width + self.epsilon).sqrt();
        for x in x.iter_mut() {
            *x *= inverse;
        }
        inverse
    }

    /// Turns ∂L/∂(output) `g`, `[N, width]`, into ∂L/∂(sum):
    /// (γg - mean(γg) - x̂ mean(γg x̂)) / √(variance + ε), in which mean(γg) is left out where the mean
    /// wasn't taken away.
    pub(super) fn backward(&self, g: &mut [f32], normalised: &[f32], inverse: &[f32]) {
        widely(
            #[inline(always)]
            || self.backward_rows(g, normalised, inverse),
        );
    }

    #[inline(always)]
    fn backward_rows(&self, g: &mut [f32], normalised: &[f32], inverse: &[f32]) {
        let width = self.gamma.len().max(1);
        for row in 0..inverse.len() {
            let place = row * width..(row + 1) * width;
            let (g, x) = (&mut g[place.clone()], &normalised[place]);
            multiply(g, self.gamma);
            let mean = match self.centred {
                true => sum(g) / width as f32,
                false => 0.0,
            };
            let along = dot(g, x) / width as f32;
            take_away(g, x, (mean, along), inverse[row]);
        }
    }
}

/// x *= y.
#[inline(always)]
fn multiply(x: &mut [f32], y: &[f32]) {
    let (x, y) = both(x, y);
    for i in 0..x.len() {
        x[i] *= y[i];
    }
}

/// out = γ x + β.
#[inline(always)]
fn scale_and_shift(out: &mut [f32], x: &[f32], gamma: &[f32], beta: &[f32]) {
    let (out, x) = both(out, x);
    let (gamma, beta) = (&gamma[..x.len()], &beta[..x.len()]);
    for i in 0..x.len() {
        out[i] = x[i] * gamma[i] + beta[i];
    }
}

/// g = (g - mean - along x) factor.
#[inline(always)]
fn take_away(g: &mut [f32], x: &[f32], (mean, along): (f32, f32), factor: f32) {
    let (g, x) = both(g, x);
    for i in 0..x.len() {
        g[i] = (g[i] - mean - x[i] * along) * factor;
    }
}
