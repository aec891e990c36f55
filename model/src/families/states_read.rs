//! Which of a text's states its head reads.

use std::ops::Range;

/// The states that a head reads, by pooling and family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatesRead {
    /// The first token's.
    First,
    /// The mean of all.
    Mean,
    /// That of the last token that isn't padding.
    Last {
        /// What passes for padding in a text itself.
        padding: Option<u32>,
    },
}

impl StatesRead {
    /// The places in a text whose states are averaged.
    ///
    /// The last is found as transformers finds it: the rightmost token that isn't the padding id,
    /// which may be the text's own (where padding is the end of a text, say), and the first token
    /// where all are. Without a padding id it is the last.
    pub(crate) fn places(self, ids: &[u32]) -> Range<usize> {
        let place = match self {
            Self::Mean => return 0..ids.len(),
            Self::First => 0,
            Self::Last { padding } => {
                let last = ids.iter().rposition(|id| Some(*id) != padding);
                last.unwrap_or(0)
            }
        };
        place..(place + 1).min(ids.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_token_is_the_rightmost_that_is_not_padding() {
        let of = |padding, ids: &[u32]| StatesRead::Last { padding }.places(ids);
        assert_eq!(of(None, &[5, 6, 0]), 2..3);
        assert_eq!(of(Some(0), &[5, 6, 0]), 1..2);
        assert_eq!(of(Some(0), &[0, 6, 0, 7, 0, 0]), 3..4);
        assert_eq!(of(Some(0), &[0, 0, 0]), 0..1);
        assert_eq!(of(Some(0), &[]), 0..0);
    }

    #[test]
    fn others_read_the_first_or_all() {
        assert_eq!(StatesRead::First.places(&[5, 6, 7]), 0..1);
        assert_eq!(StatesRead::Mean.places(&[5, 6, 7]), 0..3);
    }
}
