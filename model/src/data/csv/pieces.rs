//! Where a long file is cut, so that several threads read it.

use rayon::prelude::*;

/// Cuts records into pieces of about so many bytes, each of whole records.
///
/// A line end is one of a record where the quotes before it are even in number: those inside a quoted
/// field are doubled. That holds up to the first fault of a file. Whoever reads the pieces meets that
/// fault, too, since the piece that has it begins where a record does.
pub(super) fn cut(records: &[u8], about: usize) -> Vec<&[u8]> {
    let strides: Vec<&[u8]> = records.chunks(about.max(1)).collect();
    let quotes: Vec<usize> = strides
        .par_iter()
        .map(|stride| stride.iter().filter(|byte| **byte == b'"').count())
        .collect();
    let (mut pieces, mut begin, mut at, mut quoted) = (Vec::new(), 0, 0, false);
    for (stride, quotes) in strides.iter().zip(quotes) {
        at += stride.len();
        quoted ^= quotes % 2 == 1;
        // The piece before reaches beyond this stride.
        if at <= begin {
            continue;
        }
        let end = at + record_end(&records[at..], quoted);
        pieces.push(&records[begin..end]);
        begin = end;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// How many bytes there are up to the end of a record's last line.
fn record_end(bytes: &[u8], mut quoted: bool) -> usize {
    let ends = |byte: &u8| {
        quoted ^= *byte == b'"';
        *byte == b'\n' && !quoted
    };
    bytes.iter().position(ends).map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_records_and_together_the_whole() {
        let records = b"a,b\n\"c\nd\",\"e\"\"\n\"\nf,g\r\n\nh,\"i\nj\"";
        for about in 0..40 {
            let pieces = cut(records, about);
            assert_eq!(pieces.concat(), records, "{about}");
            for piece in pieces {
                let quotes = piece.iter().filter(|byte| **byte == b'"').count();
                assert!(quotes.is_multiple_of(2), "{about}");
            }
        }
        assert_eq!(
            cut(records, 1)[..2],
            [&b"a,b\n"[..], b"\"c\nd\",\"e\"\"\n\"\n"]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_takes_the_rest_with_it() {
        assert_eq!(cut(b"a\n\"b\nc\nd\n", 1), [&b"a\n"[..], b"\"b\nc\nd\n"]);
        assert!(cut(b"", 1).is_empty());
    }
}
