//! Attention by content and by how far apart two tokens are, as DeBERTa has it (He et al. 2021, §3.1;
//! distances in buckets: DeBERTa's second version).

use std::ops::Range;

/// A table of states of relative places, which every layer's queries and keys are projected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disentangled {
    /// Buckets to each side; 0 where every distance has a row of its own.
    pub buckets: usize,
    /// The longest distance that is told apart, plus one.
    pub distances: usize,
}

impl Disentangled {
    /// Rows for tokens to one side.
    fn span(self) -> usize {
        match self.buckets {
            0 => self.distances,
            buckets => buckets,
        }
    }

    /// Rows of the table.
    pub(crate) fn table_rows(self) -> usize {
        2 * self.span()
    }

    /// The table's row for a query and a key, both places in a text.
    pub(crate) fn row(self, query: usize, key: usize) -> usize {
        let away = self.bucket(query.abs_diff(key));
        let span = self.span();
        match query >= key {
            true => (span + away).min(2 * span - 1),
            false => span.saturating_sub(away),
        }
    }

    /// The rows that a text of so many tokens reads.
    pub(crate) fn rows(self, tokens: usize) -> Range<usize> {
        match tokens {
            0 => 0..0,
            _ => self.row(0, tokens - 1)..self.row(tokens - 1, 0) + 1,
        }
    }

    /// Near distances by themselves, far ones by their logarithm, in single precision as
    /// transformers computes it.
    fn bucket(self, distance: usize) -> usize {
        let middle = self.buckets / 2;
        if self.buckets == 0 || distance <= middle {
            return distance;
        }
        let far = (distance as f32 / middle as f32).ln();
        let farthest = ((self.distances - 1) as f32 / middle as f32).ln();
        let steps = (far / farthest * (middle as f32 - 1.0)).ceil();
        middle + steps.max(0.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// transformers 5.24, `build_relative_position` of -511 to 511 with 256 buckets and 512
    /// distances, as it is looked up: how many distances share each row, from row 0 on.
    const SHARED: &[usize] = &[
        0, 6, 6, 5, 5, 6, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 4, 5, 5, 4, 5, 4, 4, 5, 4, 4, 5, 4, 4, 4,
        4, 4, 4, 4, 4, 4, 3, 4, 4, 3, 4, 4, 3, 4, 3, 4, 3, 3, 4, 3, 3, 3, 4, 3, 3, 3, 3, 3, 3, 3,
        3, 3, 3, 2, 3, 3, 3, 2, 3, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 2, 2, 3, 2, 2, 2, 3, 2, 2,
        2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2, 1, 2, 1, 2,
        1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 2,
        1, 2, 1, 2, 1, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2,
        2, 2, 2, 2, 2, 3, 2, 2, 2, 3, 2, 2, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 3, 2, 3, 3, 3, 2,
        3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 3, 3, 3, 4, 3, 3, 4, 3, 4, 3, 4, 4, 3, 4, 4, 3, 4, 4, 4,
        4, 4, 4, 4, 4, 4, 5, 4, 4, 5, 4, 4, 5, 4, 5, 5, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 5, 5,
        6, 6,
    ];

    #[test]
    fn every_distance_has_the_row_that_transformers_gives_it() {
        let shape = Disentangled {
            buckets: 256,
            distances: 512,
        };
        let expected = SHARED.iter().enumerate();
        let expected = expected.flat_map(|(row, count)| std::iter::repeat_n(row, *count));
        for (distance, expected) in (-511..=511_isize).zip(expected) {
            let query = 600_usize.checked_add_signed(distance).expect("a place");
            assert_eq!(shape.row(query, 600), expected, "{distance}");
        }
        assert_eq!(SHARED.iter().sum::<usize>(), 1023);
        // No distance is as far as row 0.
        assert_eq!(shape.rows(512), 1..512);
        assert_eq!(shape.rows(1), 256..257);
    }
}
