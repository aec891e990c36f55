//! How many texts are longer than what is read of them.

use std::fmt;

/// The texts of a table that are cut. On private rows these numbers are private, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLengths {
    /// Tokens of each text that are read, at most.
    pub most: usize,
    /// Texts.
    pub texts: usize,
    /// Texts that have more tokens.
    pub cut: usize,
    /// Tokens of the longest text.
    pub longest: usize,
}

impl TextLengths {
    /// Of no texts yet, of which at most so many tokens are read.
    pub fn most(most: usize) -> Self {
        Self {
            most,
            texts: 0,
            cut: 0,
            longest: 0,
        }
    }

    /// Counts a text of so many tokens.
    pub fn count(&mut self, tokens: usize) {
        self.texts += 1;
        self.cut += usize::from(tokens > self.most);
        self.longest = self.longest.max(tokens);
    }
}

impl fmt::Display for TextLengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            most,
            texts,
            cut,
            longest,
        } = self;
        match cut {
            0 => write!(f, "no text is longer than the {most} tokens that are read"),
            cut => write!(
                f,
                "{cut} of {texts} texts are cut to {most} tokens; the longest has {longest}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_too_long_are_counted_and_the_longest_measured() {
        let mut lengths = TextLengths::most(8);
        for tokens in [3, 8, 9, 40] {
            lengths.count(tokens);
        }
        assert_eq!(
            lengths.to_string(),
            "2 of 4 texts are cut to 8 tokens; the longest has 40"
        );
        assert_eq!(
            TextLengths::most(8).to_string(),
            "no text is longer than the 8 tokens that are read"
        );
    }
}
