//! The records of a CSV file, by the letter of RFC 4180.
//!
//! Quotes inside a quoted field are doubled; a quote anywhere else is a fault, since a
//! reader that guesses what was meant swallows rows without a word. Beyond the letter, columns
//! may be separated by another character, lines may end in LF alone, or in CR alone where the
//! first one does, blanks may surround a quoted field, and blank lines are skipped.

use std::ops::Range;

use super::pieces;

/// How a file is written, as far as RFC 4180 leaves room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// What stands between fields.
    pub(super) delimiter: u8,
    /// Whether a backslash takes its meaning from a quote, a delimiter, a line end or another
    /// backslash, as in Spark's and MySQL's files.
    pub(super) backslashes: bool,
}

/// A field, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) bytes: Vec<u8>,
    pub(super) quoted: bool,
}

/// The fields of one record, and the line of the file it starts on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) fields: Vec<Field>,
    pub(super) line: usize,
}

/// What breaks the rules, and on which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) line: usize,
    /// Whether a backslash stands before the quote that is wrong.
    pub(super) after_backslash: bool,
}

/// The ways to break the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// A quote inside a field that doesn't start with one.
    StrayQuote,
    /// Something other than a delimiter or the end of the line after a closing quote.
    TextAfterQuote,
    /// A quoted field that the file ends in.
    UnclosedQuote,
    /// A line end outside of quotes of another kind than the first.
    MixedLineEnds,
}

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnds {
    /// No line has ended yet.
    Unknown,
    /// LF, with or without CR before it.
    Usual,
    /// CR alone.
    Return,
}

/// Goes through the records of a file. After a fault there are no more.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    dialect: Dialect,
    at: usize,
    line: usize,
    ends: LineEnds,
    broken: bool,
}

/// What follows a field.
enum After {
    Delimiter,
    EndOfRecord,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8], dialect: Dialect) -> Self {
        Self {
            bytes,
            dialect,
            at: 0,
            line: 1,
            ends: LineEnds::Unknown,
            broken: false,
        }
    }

    /// Whether lines end in CR alone.
    pub(super) fn end_in_returns(&self) -> bool {
        self.ends == LineEnds::Return
    }

    /// What is left, as pieces of about so many bytes that may be read apart; `None` where that is one
    /// piece, or where records can't be told apart without reading all before them. Lines are counted
    /// anew in each piece.
    pub(super) fn pieces(&self, about: usize) -> Option<Vec<Self>> {
        let rest = self.rest();
        let plain = self.ends == LineEnds::Usual && !self.dialect.backslashes && !self.broken;
        if !plain || rest.len() <= about {
            return None;
        }
        let piece = |bytes| Self {
            ends: self.ends,
            ..Self::new(bytes, self.dialect)
        };
        Some(pieces::cut(rest, about).into_iter().map(piece).collect())
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        let end = match self.ends {
            LineEnds::Return => b'\r',
            _ => b'\n',
        };
        self.line += usize::from(byte == end);
        Some(byte)
    }

    fn fault<T>(&self, kind: FaultKind) -> Result<T, Fault> {
        Err(Fault {
            kind,
            line: self.line,
            after_backslash: false,
        })
    }

    /// Whether a backslash stands before the quote that ends here, or before the one that comes
    /// next.
    fn is_after_backslash(&self, at: usize) -> bool {
        let there = |range: Range<usize>| self.bytes.get(range) == Some(br#"\""#);
        there(at.saturating_sub(2)..at) || there(at.saturating_sub(1)..at + 1)
    }

    /// Takes the end of a line, if that is what comes next. The first one decides how lines end.
    fn take_line_end(&mut self) -> bool {
        let (length, ends) = match (self.rest(), self.ends) {
            ([b'\n', ..], LineEnds::Unknown | LineEnds::Usual) => (1, LineEnds::Usual),
            ([b'\r', b'\n', ..], LineEnds::Unknown | LineEnds::Usual) => (2, LineEnds::Usual),
            // What is written on Windows through a file that was opened as text.
            ([b'\r', b'\r', b'\n', ..], LineEnds::Unknown | LineEnds::Usual) => {
                (3, LineEnds::Usual)
            }
            ([b'\r', b'\n', ..], LineEnds::Return) => return false,
            ([b'\r', ..], LineEnds::Unknown | LineEnds::Return) => (1, LineEnds::Return),
            _ => return false,
        };
        self.at += length;
        self.line += 1;
        self.ends = ends;
        true
    }

    fn skip_blanks(&mut self) {
        let blank = |byte: u8| byte == b' ' || (byte == b'\t' && self.dialect.delimiter != b'\t');
        let blanks = self.rest().iter().take_while(|byte| blank(**byte)).count();
        if self.dialect.delimiter != b' ' {
            self.at += blanks;
        }
    }

    fn record(&mut self) -> Result<Record, Fault> {
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            let (field, after) = self.field()?;
            fields.push(field);
            if let After::EndOfRecord = after {
                return Ok(Record { fields, line });
            }
        }
    }

    fn field(&mut self) -> Result<(Field, After), Fault> {
        let begin = self.at;
        self.skip_blanks();
        let quoted = self.peek() == Some(b'"');
        let (bytes, otherwise) = if quoted {
            (self.quoted_field()?, FaultKind::TextAfterQuote)
        } else {
            self.at = begin;
            (self.plain_field(), FaultKind::StrayQuote)
        };
        let end = self.at;
        if quoted {
            self.skip_blanks();
        }
        let after = self.after(otherwise).map_err(|fault| Fault {
            after_backslash: self.is_after_backslash(end),
            ..fault
        })?;
        Ok((Field { bytes, quoted }, after))
    }

    fn quoted_field(&mut self) -> Result<Vec<u8>, Fault> {
        let opened = self.line;
        self.take();
        let mut field = Vec::new();
        loop {
            match self.take() {
                None => {
                    return Err(Fault {
                        kind: FaultKind::UnclosedQuote,
                        line: opened,
                        after_backslash: false,
                    });
                }
                Some(b'\\') if self.dialect.backslashes => field.extend(self.escaped()),
                Some(b'"') if self.peek() != Some(b'"') => return Ok(field),
                Some(b'"') => field.extend(self.take()),
                Some(byte) => field.push(byte),
            }
        }
    }

    /// What a backslash and the next byte stand for.
    fn escaped(&mut self) -> Vec<u8> {
        match self.peek() {
            Some(byte) if b"\"\\\r\n".contains(&byte) || byte == self.dialect.delimiter => {
                self.take().into_iter().collect()
            }
            _ => vec![b'\\'],
        }
    }

    /// Takes bytes up to one that can't be part of an unquoted field.
    fn plain_field(&mut self) -> Vec<u8> {
        let mut field = Vec::new();
        loop {
            let backslash = self.dialect.backslashes.then_some(b'\\');
            let ends = |byte: &u8| {
                b"\"\r\n".contains(byte)
                    || *byte == self.dialect.delimiter
                    || Some(*byte) == backslash
            };
            let rest = self.rest();
            let length = rest.iter().position(ends).unwrap_or(rest.len());
            field.extend_from_slice(&rest[..length]);
            self.at += length;
            if self.dialect.backslashes && self.peek() == Some(b'\\') {
                self.take();
                field.extend(self.escaped());
            } else {
                return field;
            }
        }
    }

    fn after(&mut self, otherwise: FaultKind) -> Result<After, Fault> {
        if self.take_line_end() {
            return Ok(After::EndOfRecord);
        }
        match self.peek() {
            None => Ok(After::EndOfRecord),
            Some(byte) if byte == self.dialect.delimiter => {
                self.at += 1;
                Ok(After::Delimiter)
            }
            Some(b'\r' | b'\n') => self.fault(FaultKind::MixedLineEnds),
            Some(_) => self.fault(otherwise),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.take_line_end() {}
        if self.broken || self.peek().is_none() {
            return None;
        }
        let record = self.record();
        self.broken = record.is_err();
        Some(record)
    }
}

#[cfg(test)]
#[path = "rfc4180_tests.rs"]
mod tests;
