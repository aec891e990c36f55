//! Discrete pairs (P, Q) that bound a mechanism from above or from below.
//!
//! A continuous pair is cut into cells of the loss. From **below**, the outcomes of a cell
//! are merged into one: post-processing, which can't raise δ at any ε. From **above**, the
//! mass of a cell is spread over its two ends so that the totals under P and under Q
//! stay: "connect the dots" (Doroshenko, Ghazi, Kamath, Kumar & Manurangsi 2022), which
//! replaces the convex function e^ε ↦ δ(ε) by its chords and so can't lower it. Either
//! bound survives composition, and holds in both directions at once.

/// Which bound a discrete pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Never below the truth.
    Upper,
    /// Never above it.
    Lower,
}

/// A discrete pair: atoms in increasing order of their loss.
#[derive(Clone, Debug, Default)]
pub(super) struct Atoms {
    pub(super) atoms: Vec<Atom>,
    /// Mass of P at loss +∞.
    pub(super) p_infinite: f64,
    /// Mass of Q at loss -∞.
    pub(super) q_infinite: f64,
}

/// One outcome, with loss = ln(p/q).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Atom {
    pub(super) loss: f64,
    pub(super) p: f64,
    pub(super) q: f64,
}

/// Masses of P and Q in one cell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mass {
    pub(super) p: f64,
    pub(super) q: f64,
}

impl Atoms {
    /// The atoms of the cells (-∞, b₀], (b₀, b₁], …, (bₙ, ∞) between the `boundaries` b.
    /// `cells` holds one more than there are boundaries.
    pub(super) fn collect(bound: Bound, boundaries: &[f64], cells: &[Mass]) -> Self {
        match bound {
            Bound::Upper => Self::spread(boundaries, cells),
            Bound::Lower => Self::merged(boundaries, cells),
        }
    }

    fn merged(boundaries: &[f64], cells: &[Mass]) -> Self {
        let ends = |index: usize| {
            let low = index
                .checked_sub(1)
                .and_then(|before| boundaries.get(before));
            (
                low.copied().unwrap_or(f64::NEG_INFINITY),
                boundaries.get(index).copied().unwrap_or(f64::INFINITY),
            )
        };
        let atoms = cells
            .iter()
            .enumerate()
            // What underflowed is left out, which lowers δ.
            .filter(|(_, mass)| mass.p > 0.0 && mass.q > 0.0)
            .map(|(index, mass)| {
                let (low, high) = ends(index);
                let loss = (mass.p / mass.q).ln().clamp(low, high);
                Atom {
                    loss,
                    p: mass.p,
                    q: mass.q,
                }
            })
            .filter(|atom| atom.loss.is_finite())
            .collect();
        Self {
            atoms,
            p_infinite: 0.0,
            q_infinite: 0.0,
        }
    }

    fn spread(boundaries: &[f64], cells: &[Mass]) -> Self {
        let mut atoms: Vec<Atom> = boundaries
            .iter()
            .map(|&loss| Atom {
                loss,
                p: 0.0,
                q: 0.0,
            })
            .collect();
        let (mut p_infinite, mut q_infinite) = (0.0, 0.0);
        for (index, mass) in cells.iter().enumerate() {
            let low = index
                .checked_sub(1)
                .and_then(|before| boundaries.get(before));
            match (low, boundaries.get(index)) {
                (Some(&a), Some(&b)) => {
                    // p = α + β and q = α e^{-a} + β e^{-b}.
                    let beta = ((mass.p - mass.q * a.exp()) / -(a - b).exp_m1()).clamp(0.0, mass.p);
                    let alpha = mass.p - beta;
                    let at_b = (beta * (-b).exp()).min(mass.q);
                    if let Some([left, right]) = atoms.get_mut(index - 1..=index) {
                        left.p += alpha;
                        left.q += mass.q - at_b;
                        right.p += beta;
                        right.q += at_b;
                    }
                }
                (Some(&a), None) => {
                    let finite = (mass.q * a.exp()).min(mass.p);
                    p_infinite += mass.p - finite;
                    if let Some(last) = atoms.last_mut() {
                        last.p += finite;
                        last.q += mass.q;
                    }
                }
                (None, Some(&b)) => {
                    let finite = (mass.p * (-b).exp()).min(mass.q);
                    q_infinite += mass.q - finite;
                    if let Some(first) = atoms.first_mut() {
                        first.q += finite;
                        first.p += mass.p;
                    }
                }
                (None, None) => {
                    p_infinite += mass.p;
                    q_infinite += mass.q;
                }
            }
        }
        atoms.retain(|atom| atom.p > 0.0 || atom.q > 0.0);
        Self {
            atoms,
            p_infinite,
            q_infinite,
        }
    }

    /// δ(ε) of the composition of two pairs, from P's side.
    pub(super) fn delta_with(&self, other: &Self, epsilon: f64) -> f64 {
        let growth = epsilon.exp();
        let mut sum = self.p_infinite + other.p_infinite - self.p_infinite * other.p_infinite;
        let (mut p_above, mut q_above) = (0.0, 0.0);
        let mut rest = other.atoms.iter().rev().peekable();
        // As the loss of one grows, ever more atoms of the other lie above ε.
        for atom in &self.atoms {
            while let Some(next) = rest.next_if(|next| atom.loss + next.loss > epsilon) {
                p_above += next.p;
                q_above += next.q;
            }
            sum += (atom.p * p_above - growth * atom.q * q_above).max(0.0);
        }
        sum
    }

    /// The pair with its two sides exchanged.
    pub(super) fn swapped(&self) -> Self {
        let atoms = self
            .atoms
            .iter()
            .rev()
            .map(|atom| Atom {
                loss: -atom.loss,
                p: atom.q,
                q: atom.p,
            })
            .collect();
        Self {
            atoms,
            p_infinite: self.q_infinite,
            q_infinite: self.p_infinite,
        }
    }

    /// Whether it is [`Self::nothing`].
    pub(super) fn is_nothing(&self) -> bool {
        let infinite = self.p_infinite + self.q_infinite;
        infinite == 0.0 && matches!(self.atoms.as_slice(), [atom] if atom.loss == 0.0)
    }

    /// The pair that says nothing: the neutral element of composition.
    pub(super) fn nothing() -> Self {
        Self {
            atoms: vec![Atom {
                loss: 0.0,
                p: 1.0,
                q: 1.0,
            }],
            p_infinite: 0.0,
            q_infinite: 0.0,
        }
    }
}
