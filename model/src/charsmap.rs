//! Whether a table of SentencePiece's normalisation can be relied on: the library that uses it
//! reads where the table sends it, and would end the program at a place that isn't there.
//!
//! The table is a trie as a double array of 32-bit units, with the length of that before it, and
//! the texts behind it that its leaves point into, each up to a zero byte. A unit has its label in
//! the lowest 8 bits, whether it has a leaf in bit 8, and from bit 9 on how far on its children
//! are (Yata's darts-clone, `DoubleArrayUnit`).

use std::collections::HashSet;

/// Bytes of a leaf's text: in Unicode's own tables it is 33 at most.
const LONGEST: usize = 128;

/// Checks a table, decoded.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(table: &[u8]) -> Result<(), &'static str> {
    let (length, rest) = table.split_first_chunk::<4>().ok_or("it is cut short")?;
    let length = u32::from_le_bytes(*length) as usize;
    // The library reads whole units alone.
    let length = length / 4 * 4;
    if length > rest.len() {
        return Err("it is cut short");
    }
    let (trie, texts) = rest.split_at(length);
    let units: Vec<u32> = trie
        .as_chunks::<4>()
        .0
        .iter()
        .map(|unit| u32::from_le_bytes(*unit))
        .collect();
    let texts = std::str::from_utf8(texts).map_err(|_| "its texts aren't UTF-8")?;
    let root = *units.first().ok_or("its trie is empty")?;
    let mut seen = HashSet::new();
    let mut open = vec![offset(root)];
    while let Some(node) = open.pop() {
        if !seen.insert(node) {
            continue;
        }
        // All places that any byte leads to.
        for byte in 1..=255_u32 {
            let place = node ^ byte as usize;
            let unit = *units.get(place).ok_or("its trie leads out of itself")?;
            if label(unit) != byte {
                continue;
            }
            let next = place ^ offset(unit);
            if has_leaf(unit) {
                let leaf = *units.get(next).ok_or("its trie leads out of itself")?;
                let text = texts.get(value(leaf)..).ok_or("a leaf points to no text")?;
                let length = text.bytes().take_while(|byte| *byte != 0).take(LONGEST + 1);
                if length.count() > LONGEST {
                    return Err("a leaf's text is far longer than what it stands for");
                }
            }
            open.push(next);
        }
    }
    Ok(())
}

fn has_leaf(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

fn value(unit: u32) -> usize {
    (unit & ((1 << 31) - 1)) as usize
}

/// A leaf's own unit has its highest bit set, so that it is no byte's.
fn label(unit: u32) -> u32 {
    unit & (1 << 31 | 0xff)
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) as usize) << ((unit & 1 << 9) >> 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trie of the one byte `a`, whose text is at `value`.
    fn table(value: u32, texts: &[u8]) -> Vec<u8> {
        let mut units = vec![0_u32; 512];
        // The root's children are from 256 on.
        units[0] = 256 << 10;
        let a = 256 ^ usize::from(b'a');
        // Its leaf is one place beside it.
        units[a] = u32::from(b'a') | 1 << 8 | 1 << 10;
        units[a ^ 1] = value | 1 << 31;
        let mut table = (units.len() as u32 * 4).to_le_bytes().to_vec();
        table.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        table.extend(texts);
        table
    }

    #[test]
    fn a_table_that_leads_anywhere_else_is_refused() {
        assert_eq!(check(&table(0, b"x\0")), Ok(()));
        assert_eq!(check(&table(2, b"x\0")), Ok(()));
        for (table, expected) in [
            (Vec::new(), "cut short"),
            (vec![8, 0, 0, 0, 1], "cut short"),
            (vec![0, 0, 0, 0], "empty"),
            (table(3, b"x\0"), "no text"),
            (table(1, "é".as_bytes()), "no text"),
            (table(0, &[0xff]), "UTF-8"),
            (table(0, &[b'x'; 129]), "far longer"),
            (vec![4, 0, 0, 0, 0, 0, 4, 0], "out of itself"),
        ] {
            let error = check(&table).expect_err("refused");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_trie_that_goes_round_is_walked_once() {
        let mut table = table(0, b"x\0");
        // `a` leads back to the root's children.
        let a = 4 + 4 * (256 ^ usize::from(b'a'));
        let back = u32::from(b'a') | (u32::from(b'a')) << 10;
        table[a..a + 4].copy_from_slice(&back.to_le_bytes());
        assert_eq!(check(&table), Ok(()));
    }
}
