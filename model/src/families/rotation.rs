//! Positions as rotations of queries and keys (Su et al. 2021, "RoFormer", §3.2), and how far a
//! layer's attention reaches.

/// What a layer's attention knows of places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    /// θ: coordinates i and i + d/2 of a head of width d turn by θ^(-2i/d) a place.
    pub theta: f32,
    /// The most places between a token and those that it sees; `None` where it sees all.
    pub reach: Option<usize>,
}

impl Rotation {
    /// Cosines and sines of the angles at the first `places`, each `[places, width / 2]`, for heads
    /// of this width. Angles are rounded to single precision as transformers rounds them, so that
    /// far places turn alike.
    pub(crate) fn angles(self, places: usize, width: usize) -> (Vec<f32>, Vec<f32>) {
        let half = width / 2;
        let (mut cosines, mut sines) = (Vec::new(), Vec::new());
        for place in 0..places {
            for index in 0..half {
                let power = (2 * index) as f32 / width as f32;
                let angle = place as f32 * (1.0 / self.theta.powf(power));
                let (sine, cosine) = f64::from(angle).sin_cos();
                cosines.push(cosine as f32);
                sines.push(sine as f32);
            }
        }
        (cosines, sines)
    }

    /// Whether the token at one place sees that at another.
    pub(crate) fn sees(self, query: usize, key: usize) -> bool {
        self.reach.is_none_or(|reach| query.abs_diff(key) <= reach)
    }
}
