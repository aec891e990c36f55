//! Queries and keys turned by their places, and their gradients turned back.

use std::ops::Range;

use super::attention::Attention;
use super::vector::widely;
use crate::families::Rotation;

/// A layer's rotations, made ready for every place.
pub(super) struct Rotary {
    /// Width of queries and keys side by side, which are turned.
    turned: usize,
    /// Width of queries, keys and values.
    stride: usize,
    /// Half of a head's width.
    half: usize,
    /// `[places, half]`
    cosines: Vec<f32>,
    /// `[places, half]`
    sines: Vec<f32>,
    pub(super) rotation: Rotation,
}

/// Which way to turn.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    Forward,
    Back,
}

impl Rotary {
    /// For rows of up to so many places.
    pub(super) fn new(rotation: Rotation, attention: Attention, places: usize) -> Self {
        let width = attention.width();
        let (cosines, sines) = rotation.angles(places, width);
        Self {
            turned: attention.hidden + attention.key_value_heads * width,
            stride: attention.stride(),
            half: width / 2,
            cosines,
            sines,
            rotation,
        }
    }

    /// Turns the queries and keys of each row's tokens in `qkv`, `[N, stride]`. A rotation's
    /// transpose is its inverse, so that gradients go back by the same angles.
    pub(super) fn turn(&self, qkv: &mut [f32], rows: &[Range<usize>], turn: Turn) {
        if self.half == 0 {
            return;
        }
        let sign = match turn {
            Turn::Forward => 1.0,
            Turn::Back => -1.0,
        };
        widely(
            #[inline(always)]
            || {
                for row in rows {
                    for (place, token) in row.clone().enumerate() {
                        let angles = place * self.half..(place + 1) * self.half;
                        let (cosines, sines) = (&self.cosines[angles.clone()], &self.sines[angles]);
                        let start = token * self.stride;
                        // Queries, then keys: a head after the other.
                        let both = &mut qkv[start..start + self.turned];
                        for head in both.chunks_exact_mut(2 * self.half) {
                            let (first, second) = head.split_at_mut(self.half);
                            for i in 0..self.half {
                                let (a, b) = (first[i], second[i]);
                                first[i] = a * cosines[i] - sign * b * sines[i];
                                second[i] = b * cosines[i] + sign * a * sines[i];
                            }
                        }
                    }
                }
            },
        );
    }
}
