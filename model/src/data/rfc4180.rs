//! The records of a CSV file, by the letter of RFC 4180.
//!
//! Quotes inside a quoted field are doubled; a quote anywhere else is a fault, since a
//! reader that guesses what was meant swallows rows without a word. Beyond the letter, a
//! line may end in LF alone and blank lines are skipped.

/// The fields of one record, unquoted, and the line of the file it starts on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) fields: Vec<Vec<u8>>,
    pub(super) line: usize,
}

/// What breaks the rules, and on which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) line: usize,
}

/// The ways to break the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// A quote inside a field that doesn't start with one.
    StrayQuote,
    /// Something other than a comma or the end of the line after a closing quote.
    TextAfterQuote,
    /// A quoted field that the file ends in.
    UnclosedQuote,
    /// A carriage return without a line feed, outside of quotes.
    LoneCarriageReturn,
}

/// Goes through the records of a file. After a fault there are no more.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    broken: bool,
}

/// What follows a field.
enum Delimiter {
    Comma,
    EndOfRecord,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            line: 1,
            broken: false,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    fn fault<T>(&self, kind: FaultKind) -> Result<T, Fault> {
        Err(Fault {
            kind,
            line: self.line,
        })
    }

    /// Takes CRLF or LF, if that is what comes next.
    fn take_line_end(&mut self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return false,
        };
        self.at += length;
        self.line += 1;
        true
    }

    fn record(&mut self) -> Result<Record, Fault> {
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            let (field, delimiter) = match self.peek() {
                Some(b'"') => (
                    self.quoted_field()?,
                    self.delimiter(FaultKind::TextAfterQuote)?,
                ),
                _ => (self.plain_field(), self.delimiter(FaultKind::StrayQuote)?),
            };
            fields.push(field);
            if let Delimiter::EndOfRecord = delimiter {
                return Ok(Record { fields, line });
            }
        }
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
                    });
                }
                Some(b'"') if self.peek() != Some(b'"') => return Ok(field),
                Some(b'"') => field.extend(self.take()),
                Some(byte) => field.push(byte),
            }
        }
    }

    /// Takes bytes up to one that can't be part of an unquoted field.
    fn plain_field(&mut self) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default().to_vec()
    }

    fn delimiter(&mut self, otherwise: FaultKind) -> Result<Delimiter, Fault> {
        if self.take_line_end() {
            return Ok(Delimiter::EndOfRecord);
        }
        match self.peek() {
            None => Ok(Delimiter::EndOfRecord),
            Some(b',') => {
                self.at += 1;
                Ok(Delimiter::Comma)
            }
            Some(b'\r') => self.fault(FaultKind::LoneCarriageReturn),
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
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Vec<String>> {
        Records::new(text.as_bytes())
            .map(|record| {
                let record = record.expect("well-formed");
                let text = |field: Vec<u8>| String::from_utf8(field).expect("UTF-8");
                record.fields.into_iter().map(text).collect()
            })
            .collect()
    }

    fn fault(text: &str) -> (FaultKind, usize) {
        let fault = Records::new(text.as_bytes())
            .find_map(Result::err)
            .expect("a fault");
        (fault.kind, fault.line)
    }

    #[test]
    fn quoted_fields_hold_commas_line_ends_and_doubled_quotes() {
        assert_eq!(
            fields("a,\"b, \"\"c\"\"\r\nd\"\r\n\"\",e\n"),
            [vec!["a", "b, \"c\"\r\nd"], vec!["", "e"]]
        );
    }

    #[test]
    fn a_trailing_comma_ends_in_an_empty_field_and_the_last_line_needs_no_end() {
        assert_eq!(fields("a,\nb,c"), [vec!["a", ""], vec!["b", "c"]]);
        assert_eq!(fields("a,"), [vec!["a", ""]]);
    }

    #[test]
    fn blank_lines_are_no_records_and_still_count_as_lines() {
        let lines: Vec<usize> = Records::new(b"\na\r\n\r\n\"b\nc\"\nd")
            .map(|r| r.expect("well-formed").line)
            .collect();
        assert_eq!(lines, [2, 4, 6]);
    }

    #[test]
    fn every_fault_is_found_on_its_line() {
        assert_eq!(fault("a\nb\"c"), (FaultKind::StrayQuote, 2));
        assert_eq!(fault("a\n\"b\"c"), (FaultKind::TextAfterQuote, 2));
        assert_eq!(fault("a\n\"b\n\nc"), (FaultKind::UnclosedQuote, 2));
        assert_eq!(fault("a\rb"), (FaultKind::LoneCarriageReturn, 1));
        assert_eq!(fault("a\r"), (FaultKind::LoneCarriageReturn, 1));
    }

    #[test]
    fn nothing_follows_a_fault() {
        let mut records = Records::new(b"a\"\nb\n");
        assert!(records.next().is_some_and(|r| r.is_err()));
        assert!(records.next().is_none());
    }
}
