//! A tokenised row: token ids, and where its second text begins.

use std::ops::Deref;

/// The tokens of a text, or of two texts one after the other, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    second: usize,
}

impl Tokens {
    /// Tokens of which those from the place `second` on are of the second kind, for models that tell
    /// two texts apart: BERT's segments.
    pub fn of_two(ids: Vec<u32>, second: usize) -> Self {
        let second = second.min(ids.len());
        Self { ids, second }
    }
}

impl From<Vec<u32>> for Tokens {
    fn from(ids: Vec<u32>) -> Self {
        Self {
            second: ids.len(),
            ids,
        }
    }
}

impl From<TokenRow<'_>> for Tokens {
    fn from(row: TokenRow<'_>) -> Self {
        Self {
            ids: row.ids.to_vec(),
            second: row.second,
        }
    }
}

impl FromIterator<u32> for Tokens {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        ids.into_iter().collect::<Vec<u32>>().into()
    }
}

impl Deref for Tokens {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.ids
    }
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRow<'a> {
    ids: &'a [u32],
    second: usize,
}

impl<'a> TokenRow<'a> {
    /// The token ids.
    pub fn ids(self) -> &'a [u32] {
        self.ids
    }

    /// Each token's type: 0 for those of the first text, 1 for those of the second.
    pub fn types(self) -> impl Iterator<Item = u32> {
        (0..self.ids.len()).map(move |place| u32::from(place >= self.second))
    }

    /// Whether there is a second text.
    pub fn has_second(self) -> bool {
        self.second < self.ids.len()
    }
}

impl<'a> From<&'a Tokens> for TokenRow<'a> {
    fn from(tokens: &'a Tokens) -> Self {
        Self {
            ids: &tokens.ids,
            second: tokens.second,
        }
    }
}

impl<'a> From<&'a [u32]> for TokenRow<'a> {
    fn from(ids: &'a [u32]) -> Self {
        Self {
            ids,
            second: ids.len(),
        }
    }
}

impl<'a> From<&'a Vec<u32>> for TokenRow<'a> {
    fn from(ids: &'a Vec<u32>) -> Self {
        ids.as_slice().into()
    }
}
