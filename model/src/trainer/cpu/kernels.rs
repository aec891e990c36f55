//! The kernels one by one, for `benches/kernels.rs`, in the shapes of MiniLM.

use super::activation::{activate, activate_only};
use super::attention::{Attention, Beside, Span};
use super::gram::ghost_square;
use super::layer_norm::{Norm, Summands};
use super::lines::Vectors;
use super::product::{Matrix, MatrixMut, multiply};
use super::squares::sum_of_squares;
use super::vector::{add_scaled, add_widely};
use super::workspace::Workspace;
use crate::families::Activation;

const HIDDEN: usize = 384;
const HEADS: usize = 12;
const INTERMEDIATE: usize = 4 * HIDDEN;
/// Tokens of a tile.
const TILE: usize = 1024;

/// One kernel of the CPU's engine.
pub struct Kernel {
    /// What it does, and in which shape.
    pub name: String,
    /// Multiplications that one run needs by the textbook, however many it takes.
    pub multiplications: f64,
    run: Box<dyn FnMut(&mut Workspace)>,
    workspace: Workspace,
}

impl Kernel {
    fn new(
        name: impl Into<String>,
        multiplications: usize,
        run: impl FnMut(&mut Workspace) + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            multiplications: multiplications as f64,
            run: Box::new(run),
            workspace: Workspace::default(),
        }
    }

    /// Runs it once.
    pub fn run(&mut self) {
        (self.run)(&mut self.workspace);
    }
}

/// A large product of square matrices: the machine's rate.
pub fn square_product() -> Kernel {
    const N: usize = 1024;
    let (a, b) = (numbers(N * N), numbers(N * N));
    let mut to = vec![0.0; N * N];
    Kernel::new("product, 1024 x 1024 x 1024", N * N * N, move |_| {
        let [a, b] = [&a, &b].map(|values| Matrix::new(values, N, N));
        multiply(MatrixMut::new(&mut to, N, N), 1.0, a, b);
    })
}

/// All that a step of texts of `tokens` tokens is made of.
pub fn kernels(tokens: usize) -> Vec<Kernel> {
    let mut kernels = products();
    kernels.extend(norms(tokens));
    kernels.extend(attention(tokens));
    kernels.extend(passes());
    kernels
}

/// Numbers of either sign, none of which is small enough to slow the processor down.
fn numbers(count: usize) -> Vec<f32> {
    let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0;
    (0..count).map(|i| number(i) - 0.5).collect()
}

/// The products of a linear layer: forward, back to its inputs, and its gradient.
fn products() -> Vec<Kernel> {
    let (n, p, d) = (TILE, HIDDEN, INTERMEDIATE);
    let [x, w, g] = [n * p, p * d, n * d].map(numbers);
    let (mut y, mut g_x, mut sum) = (vec![0.0; n * d], vec![0.0; n * p], vec![0.0; p * d]);
    let (weights, gradients) = (w.clone(), g.clone());
    let inputs = x.clone();
    let forward = Kernel::new("product X W, 1024 x 384 x 1536", n * p * d, move |_| {
        let (x, w) = (Matrix::new(&x, n, p), Matrix::new(&w, p, d));
        multiply(MatrixMut::new(&mut y, n, d), 1.0, x, w);
    });
    let back = Kernel::new("product G W^T, 1024 x 1536 x 384", n * p * d, move |_| {
        let (g, w) = (Matrix::new(&g, n, d), Matrix::new(&weights, p, d));
        multiply(MatrixMut::new(&mut g_x, n, p), 1.0, g, w.transposed());
    });
    let gradient = Kernel::new("product X^T G, 384 x 1024 x 1536", n * p * d, move |_| {
        let (x, g) = (Matrix::new(&inputs, n, p), Matrix::new(&gradients, n, d));
        multiply(MatrixMut::new(&mut sum, p, d), 1.0, x.transposed(), g);
    });
    vec![forward, back, gradient]
}

/// The three ways to a unit's norm.
fn norms(tokens: usize) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for (p, d) in [(HIDDEN, HIDDEN), (HIDDEN, INTERMEDIATE)] {
        let pairs = tokens * (tokens + 1) / 2;
        let [x, g] = [tokens * p, tokens * d].map(numbers);
        let (xs, gs) = (x.clone(), g.clone());
        let name = format!("ghost norm, {tokens} x ({p} + {d})");
        kernels.push(Kernel::new(name, pairs * (p + d), move |workspace| {
            let rows = |values, width| Vectors {
                values,
                width,
                stride: width,
            };
            ghost_square(rows(&xs, p), rows(&gs, d), tokens, workspace);
        }));
        let (mut gradient, mut sum) = (vec![0.0; p * d], vec![0.0; p * d]);
        let (xs, gs) = (x.clone(), g.clone());
        let multiply_out = move |gradient: &mut [f32], x: &[f32], g: &[f32]| {
            let x = Matrix::new(x, tokens, p).transposed();
            multiply(
                MatrixMut::new(gradient, p, d),
                1.0,
                x,
                Matrix::new(g, tokens, d),
            );
            std::hint::black_box(sum_of_squares(gradient));
        };
        let name = format!("norm by the gradient, {tokens} x {p} x {d}");
        kernels.push(Kernel::new(name, tokens * p * d, move |_| {
            multiply_out(&mut gradient, &x, &g);
        }));
        let mut gradient = vec![0.0; p * d];
        let name = format!("norm by the gradient, kept, {tokens} x {p} x {d}");
        kernels.push(Kernel::new(name, tokens * p * d, move |_| {
            multiply_out(&mut gradient, &xs, &gs);
            add_scaled(&mut sum, 0.5, &gradient);
        }));
    }
    kernels
}

/// Attention of a tile's texts: forward for training and for scores alone, and back.
fn attention(tokens: usize) -> Vec<Kernel> {
    let sizes = Attention {
        hidden: HIDDEN,
        heads: HEADS,
        key_value_heads: HEADS,
        causal: false,
        reach: None,
        kinds: 1,
    };
    let rows = (TILE / tokens).max(1);
    let n = rows * tokens;
    let spans = move || -> Vec<Span> {
        let row = |row| row * tokens..(row + 1) * tokens;
        let span = |index| Span {
            tokens: row(index),
            outputs: row(index),
        };
        (0..rows).map(span).collect()
    };
    let product = n * tokens * HIDDEN;
    let [qkv, g] = [n * 3 * HIDDEN, n * HIDDEN].map(numbers);
    let (inputs, its) = (qkv.clone(), qkv.clone());
    let mut context = vec![0.0; n * HIDDEN];
    let mut scored = context.clone();
    let mut g_qkv = vec![0.0; n * 3 * HIDDEN];
    let forward = move |workspace: &mut Workspace| {
        let attended = sizes.forward(
            &qkv,
            &spans(),
            Beside::Nothing,
            None,
            &mut context,
            workspace,
        );
        attended.give(workspace);
    };
    let only = move |workspace: &mut Workspace| {
        let attended =
            sizes.forward_only(&inputs, &spans(), Beside::Nothing, &mut scored, workspace);
        attended.give(workspace);
    };
    let mut attended = None;
    let mut first = vec![0.0; n * HIDDEN];
    let back = move |workspace: &mut Workspace| {
        let spans = spans();
        let attended = attended.get_or_insert_with(|| {
            sizes.forward(&its, &spans, Beside::Nothing, None, &mut first, workspace)
        });
        let beside = (Beside::Nothing, None);
        sizes.backward(&its, &spans, attended, &g, &mut g_qkv, beside, workspace);
    };
    vec![
        Kernel::new(format!("attention, {tokens} tokens"), 2 * product, forward),
        Kernel::new(
            format!("attention, {tokens} tokens, scores only"),
            2 * product,
            only,
        ),
        Kernel::new(
            format!("attention back, {tokens} tokens"),
            4 * product,
            back,
        ),
    ]
}

/// Passes over memory, whose multiplications are those that they do a number.
fn passes() -> Vec<Kernel> {
    let (n, wide) = (TILE * HIDDEN, TILE * INTERMEDIATE);
    let (bias, values) = (numbers(INTERMEDIATE), numbers(wide));
    let [mut x, mut slope, mut alone] = [(); 3].map(|()| values.clone());
    let its = bias.clone();
    let gelu = move |_: &mut Workspace| activate(Activation::Gelu, &mut x, &bias, &mut slope);
    let only = move |_: &mut Workspace| activate_only(Activation::Gelu, &mut alone, &its);
    let [residual, mut y, mut out, normalised] = [(); 4].map(|()| numbers(n));
    let [gamma, beta, small] = [(); 3].map(|()| numbers(HIDDEN));
    let (its, mut inverse) = (gamma.clone(), vec![0.0; TILE]);
    let forward = move |_: &mut Workspace| {
        let norm = Norm {
            gamma: &gamma,
            beta: &beta,
            epsilon: 1e-12,
            centred: true,
        };
        let summands = Summands {
            bias: &small,
            mask: None,
            residual: &residual,
        };
        norm.forward(&mut y, Some(&summands), &mut inverse, &mut out);
    };
    let (mut g, beside) = (numbers(n), vec![1.0; TILE]);
    let back = move |_: &mut Workspace| {
        let norm = Norm {
            gamma: &its,
            beta: &[],
            epsilon: 1e-12,
            centred: true,
        };
        norm.backward(&mut g, &normalised, &beside);
    };
    let (mut total, single) = (vec![0.0_f64; n], numbers(n));
    let add = move |_: &mut Workspace| add_widely(&mut total, &single);
    vec![
        Kernel::new("activation and slope, 1024 x 1536", 25 * wide, gelu),
        Kernel::new("activation, 1024 x 1536", 20 * wide, only),
        Kernel::new("normalisation, 1024 x 384", 4 * n, forward),
        Kernel::new("normalisation back, 1024 x 384", 5 * n, back),
        Kernel::new("sum in double precision, 1024 x 384", n, add),
    ]
}
