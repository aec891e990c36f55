//! Where to cut a loss into cells, so that few of them do.
//!
//! Spreading or merging a cell of width h changes the variance of the loss by about
//! (mass) h². For a given number of cells the sum over cells is least where their density
//! is proportional to the cube root of the density of the mass (Panter & Dite 1951). What
//! counts is the mass *tilted* by e^{θL} towards the tail that δ looks at.

/// A loss, and the tilted mass near it.
pub(super) type Weighted = (f64, f64);

/// What cells are chosen by: how much errors of one loss matter for δ at one epsilon.
#[derive(Clone, Debug)]
pub(super) enum Weighting {
    /// As e^{θL}: the total exceeds ε most likely with losses tilted so.
    Tilted(f64),
    /// As ln g between the given losses (increasing). An error at loss l matters as
    /// δ''(ε - l) does: it makes δ of what is left to the others bend there.
    Table(Vec<(f64, f64)>),
}

impl Weighting {
    /// ln of the weight of an outcome of mass e^`ln_p`.
    pub(super) fn ln_weight(&self, loss: f64, ln_p: f64) -> f64 {
        match self {
            Self::Tilted(theta) => ln_p + theta * loss,
            Self::Table(points) => ln_p + interpolated(points, loss),
        }
    }

    /// The tilt at a loss, without sign.
    fn steepness(&self, loss: f64) -> f64 {
        match self {
            Self::Tilted(theta) => *theta,
            Self::Table(points) => {
                let after = points
                    .partition_point(|(at, _)| *at < loss)
                    .clamp(1, points.len() - 1);
                match points.get(after - 1..=after) {
                    Some([(a, low), (b, high)]) => ((high - low) / (b - a)).abs(),
                    _ => 0.0,
                }
            }
        }
    }

    /// The importance of losses for `delta` (as a function of ε) near `epsilon`, when the
    /// total without large losses has the standard deviation `spread`.
    pub(super) fn of(delta: impl Fn(f64) -> f64, epsilon: f64, spread: f64) -> Self {
        let near = (-24..=24).map(|k| epsilon + spread * f64::from(k) / 4.0);
        let far = (-16..=64).map(|k| epsilon * f64::from(k) / 64.0);
        let mut losses: Vec<f64> = near.chain(far).collect();
        losses.sort_by(f64::total_cmp);
        losses.dedup_by(|a, b| *a - *b < 1e-6 * (epsilon + spread));
        let values: Vec<f64> = losses.iter().map(|loss| delta(epsilon - loss)).collect();
        let points: Vec<(f64, f64)> = losses
            .windows(3)
            .zip(values.windows(3))
            .filter_map(|(losses, values)| {
                let ([a, l, b], [before, here, after]) = (losses, values) else {
                    return None;
                };
                let bend = (after - here) / (b - l) - (here - before) / (l - a);
                let bend = 2.0 * bend / (b - a);
                (bend > 0.0).then(|| (*l, bend.ln()))
            })
            .collect();
        // δ is a polygon: where its corners are further apart than the points here, bends
        // come and go. The largest of neighbours is what counts.
        let smooth: Vec<(f64, f64)> = points
            .iter()
            .enumerate()
            .map(|(index, (loss, _))| {
                let around = points.iter().take(index + 3).skip(index.saturating_sub(2));
                (
                    *loss,
                    around.fold(f64::NEG_INFINITY, |most, (_, bend)| most.max(*bend)),
                )
            })
            .collect();
        if smooth.len() < 2 {
            Self::Tilted(1.0 / spread)
        } else {
            Self::Table(smooth)
        }
    }
}

/// Linear between the points, and on the end segments' lines where these fall outward.
fn interpolated(points: &[(f64, f64)], at: f64) -> f64 {
    let after = points
        .partition_point(|(x, _)| *x < at)
        .clamp(1, points.len() - 1);
    let Some([(a, low), (b, high)]) = points.get(after - 1..=after) else {
        return 0.0;
    };
    let slope = (high - low) / (b - a);
    if at < *a {
        low + slope.max(0.0) * (at - a)
    } else if at > *b {
        // Losses far beyond ε matter less and less.
        high + slope.min(-1.0 / (b - a)) * (at - b)
    } else {
        low + slope * (at - a)
    }
}

/// Weights below this, relative to the sum, lie beyond the outermost boundary.
const NEGLIGIBLE: f64 = 1e-19;

/// Samples that make one segment of constant density.
const SEGMENT: usize = 16;

/// Turns the logarithms of tilted masses into masses that add up to 1.
pub(super) fn weigh(samples: &[(f64, f64)]) -> Vec<Weighted> {
    let largest = samples
        .iter()
        .fold(f64::NEG_INFINITY, |most, (_, ln)| most.max(*ln));
    let sum: f64 = samples.iter().map(|(_, ln)| (ln - largest).exp()).sum();
    samples
        .iter()
        .map(|&(loss, ln)| (loss, (ln - largest).exp() / sum))
        .collect()
}

/// About `count` boundaries for a loss of which `samples` (sorted by loss) are a sketch.
pub(super) fn boundaries(samples: &[Weighted], weighting: &Weighting, count: usize) -> Vec<f64> {
    let matters = |(_, mass): &Weighted| *mass > NEGLIGIBLE;
    let start = samples.iter().position(matters);
    let end = samples.iter().rposition(matters);
    let (Some(start), Some(end)) = (start, end) else {
        return samples.iter().map(|(loss, _)| *loss).collect();
    };
    let kept = samples.get(start..=end).unwrap_or_default();
    let Some((&(first, _), &(last, _))) = kept.first().zip(kept.last()) else {
        return Vec::new();
    };
    let length = SEGMENT.min(kept.len() / 64).max(1);
    let mut edges: Vec<f64> = kept.iter().step_by(length).map(|(loss, _)| *loss).collect();
    if edges.last().is_none_or(|&edge| edge < last) {
        edges.push(last);
    }
    let segments: Vec<Segment> = edges
        .windows(2)
        .zip(kept.chunks(length))
        .filter_map(|(ends, chunk)| Segment::of(ends, chunk))
        .collect();
    let total: f64 = segments.iter().map(|segment| segment.share).sum();
    let widest = |low: f64| 1.0 / (1.0 + weighting.steepness(low));
    let mut found = vec![first];
    for Segment { low, width, share } in segments {
        let wanted = (count as f64 * share / total)
            .max(width / widest(low))
            .ceil()
            .max(1.0);
        let cells = wanted.min(4.0 * count as f64) as usize;
        for cell in 1..=cells {
            found.push(low + width * cell as f64 / cells as f64);
        }
    }
    found.dedup_by(|a, b| *a <= *b);
    found
}

/// A stretch over which cells have one width.
struct Segment {
    low: f64,
    width: f64,
    /// The cube root of mass × width²: how many cells it should get, up to a factor.
    share: f64,
}

impl Segment {
    fn of(ends: &[f64], samples: &[Weighted]) -> Option<Self> {
        let [low, high] = ends else { return None };
        let width = high - low;
        let mass: f64 = samples.iter().map(|(_, mass)| mass).sum();
        (width > 0.0).then(|| Self {
            low: *low,
            width,
            share: (mass * width * width).cbrt(),
        })
    }
}
