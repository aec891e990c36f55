//! Gradients of the embeddings: rows of a table, added up by token id on the host. No
//! one-hot matrix is ever made.

use std::collections::HashMap;
use std::ops::Range;

use super::square::Square;
use crate::parameters::{ParameterLayout, TrainedTables};

/// Which rows of the trained tables were added up at each place.
pub(crate) struct TableRows {
    /// Of the word embeddings: token ids.
    words: Vec<u32>,
    /// Of the position embeddings, where there are any and they are trained.
    positions: Option<Vec<u32>>,
    /// Of the segment embeddings, where there are any and they are trained.
    types: Option<Vec<u32>>,
    /// What the gradient at them is multiplied by, if by anything.
    scale: Option<f32>,
}

/// The tables' names in the layout, in the order in which [`TableRows::at`] numbers them.
const TABLES: [&str; 3] = [
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
];

impl TableRows {
    /// Those of each place that belong to trained tables: of words, of positions and of segments.
    pub(crate) fn of(
        trained: TrainedTables,
        words: &[u32],
        positions: Option<&[u32]>,
        types: Option<&[u32]>,
    ) -> Self {
        let all = trained == TrainedTables::All;
        let other = |rows: Option<&[u32]>| rows.filter(|_| all).map(<[u32]>::to_vec);
        Self {
            words: words.to_vec(),
            positions: other(positions),
            types: other(types),
            scale: trained.scale(),
        }
    }

    /// A place's rows, each with the number of its table.
    fn at(&self, place: usize) -> impl Iterator<Item = (usize, u32)> {
        let others = [&self.positions, &self.types].into_iter().zip(1..);
        let others = others.filter_map(move |(rows, table)| Some((table, rows.as_ref()?[place])));
        [(0, self.words[place])].into_iter().chain(others)
    }
}

/// The gradient at the sum of the embeddings, on the host.
pub(crate) struct EmbeddingGradient {
    /// One vector of `width` numbers for each place.
    values: Vec<f32>,
    width: usize,
    tables: TableRows,
    /// Each row's places.
    rows: Vec<Range<usize>>,
    /// Each unit's rows.
    units: Vec<Range<usize>>,
}

impl EmbeddingGradient {
    /// The gradient of the tables from ∂L/∂(sum of the embeddings) `values`, `[places, width]`, at places
    /// where `tables` were read.
    pub(crate) fn new(
        mut values: Vec<f32>,
        width: usize,
        tables: TableRows,
        rows: Vec<Range<usize>>,
        units: Vec<Range<usize>>,
    ) -> Self {
        if let Some(scale) = tables.scale {
            values.iter_mut().for_each(|g| *g *= scale);
        }
        Self {
            values,
            width,
            tables,
            rows,
            units,
        }
    }

    /// Whether all of it are numbers.
    pub(crate) fn is_finite(&self) -> bool {
        self.values.iter().all(|x| x.is_finite())
    }

    /// The numbers that a unit's gradient is made of.
    pub(super) fn ingredients(&self, unit: usize) -> Vec<f32> {
        let rows = self.rows[self.units[unit].clone()].iter();
        let places = rows.flat_map(Clone::clone);
        places.flat_map(|place| self.at(place)).copied().collect()
    }

    fn at(&self, place: usize) -> &[f32] {
        &self.values[place * self.width..(place + 1) * self.width]
    }

    /// Adds the squared norm of each unit's gradient of the word, position and segment tables.
    pub(crate) fn add_squares(&self, squares: &mut [Square]) {
        for (unit, square) in self.units.iter().zip(squares) {
            square.sum += self.square(&self.rows[unit.clone()]);
        }
    }

    /// The squared norm over a unit's rows: vectors that fall on one row of a table are added
    /// first.
    fn square(&self, rows: &[Range<usize>]) -> f64 {
        let mut sums: HashMap<(usize, u32), Vec<f64>> = HashMap::new();
        for row in rows {
            for place in row.clone() {
                let g = self.at(place);
                for key in self.tables.at(place) {
                    let sum = sums.entry(key).or_insert_with(|| vec![0.0; self.width]);
                    sum.iter_mut().zip(g).for_each(|(s, x)| *s += f64::from(*x));
                }
            }
        }
        // In one order, so that the same rows give the same bits.
        let mut squares: Vec<_> = sums
            .into_iter()
            .map(|(key, sum)| (key, sum.iter().map(|x| x * x).sum::<f64>()))
            .collect();
        squares.sort_unstable_by_key(|(key, _)| *key);
        squares.iter().map(|(_, square)| square).sum()
    }

    /// Adds the rows' gradients, each times its unit's factor, to the tables' places in `sum`.
    pub(crate) fn add_scaled(&self, factors: &[f64], layout: &ParameterLayout, sum: &mut [f64]) {
        let begins = TABLES.map(|table| layout.offset_of(table));
        for (unit, factor) in self.units.iter().zip(factors) {
            for row in &self.rows[unit.clone()] {
                for place in row.clone() {
                    let g = self.at(place);
                    for (table, row) in self.tables.at(place) {
                        let Some(begin) = begins[table] else { continue };
                        let begin = begin + row as usize * self.width;
                        let place = &mut sum[begin..begin + self.width];
                        place
                            .iter_mut()
                            .zip(g)
                            .for_each(|(s, x)| *s += factor * f64::from(*x));
                    }
                }
            }
        }
    }
}
