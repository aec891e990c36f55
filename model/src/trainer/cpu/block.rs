//! What attention works on at a time: some of a row's queries in one head.

use std::ops::Range;

/// A row of L tokens, of which the first M attend to all.
pub(super) struct Span {
    /// Its tokens, as places among all.
    pub(super) tokens: Range<usize>,
    /// Where the M have their context.
    pub(super) outputs: Range<usize>,
}

impl Span {
    /// How many weights a head has for it.
    pub(super) fn weights(&self) -> usize {
        self.outputs.len() * self.tokens.len()
    }
}

/// Some of a row's queries in one head: all of them where weights are kept.
pub(super) struct Block<'a> {
    /// Which row it is.
    pub(super) row: usize,
    pub(super) span: &'a Span,
    pub(super) head: usize,
    /// Which of the row's tokens.
    pub(super) queries: Range<usize>,
    /// Where its weights are kept.
    pub(super) kept: Option<Range<usize>>,
}

impl Block<'_> {
    /// How many weights it has.
    pub(super) fn weights(&self) -> usize {
        self.queries.len() * self.span.tokens.len()
    }

    /// Its queries' places among all tokens.
    pub(super) fn query_tokens(&self) -> Range<usize> {
        let first = self.span.tokens.start;
        first + self.queries.start..first + self.queries.end
    }

    /// Whether it is the first of its row and head.
    pub(super) fn is_first(&self) -> bool {
        self.queries.start == 0
    }
}
