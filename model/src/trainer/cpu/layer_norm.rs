//! Layer normalisation (Ba et al. 2016) of a sum: what comes out of a linear layer, its bias,
//! and what went around it, added and normalised in one pass. RMSNorm (Zhang and Sennrich 2019) is the
//! same without taking the mean away.

use super::vector::{add, dot, sum, widely};

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
        let width = self.gamma.len().max(1);
        widely(
            #[inline(always)]
            || {
                // Slices by their places: a chain of iterators becomes a call for every row.
                for (row, inverse) in inverse.iter_mut().enumerate() {
                    let place = row * width..(row + 1) * width;
                    let (x, out) = (&mut x[place.clone()], &mut out[place.clone()]);
                    if let Some(summands) = summands {
                        add(x, summands.bias);
                        if let Some(mask) = summands.mask {
                            for (x, mask) in x.iter_mut().zip(&mask[place.clone()]) {
                                *x *= mask;
                            }
                        }
                        add(x, &summands.residual[place]);
                    }
                    *inverse = self.normalise(x);
                    for (((out, x), gamma), beta) in
                        out.iter_mut().zip(&*x).zip(self.gamma).zip(self.beta)
                    {
                        *out = x * gamma + beta;
                    }
                }
            },
        );
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
        let width = self.gamma.len().max(1);
        let rows = g.chunks_mut(width).zip(normalised.chunks(width));
        widely(
            #[inline(always)]
            || {
                for ((g, x), inverse) in rows.zip(inverse) {
                    for (g, gamma) in g.iter_mut().zip(self.gamma) {
                        *g *= gamma;
                    }
                    let mean = match self.centred {
                        true => sum(g) / width as f32,
                        false => 0.0,
                    };
                    let along = dot(g, x) / width as f32;
                    for (g, x) in g.iter_mut().zip(x) {
                        *g = (*g - mean - x * along) * inverse;
                    }
                }
            },
        );
    }
}
