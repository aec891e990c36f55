//! Ledgers that were cut off, changed or put together: what opens again, and what is refused.

use umbel_privacy::Ledger;
use umbel_privacy::ledger::chain::{self, Damage, Tail};
use umbel_privacy::ledger::entry::InvalidEntry;
use umbel_privacy::ledger::{LedgerEntry, MemoryLedgerStorage};

use crate::entries::{draft, joined, lines, memory, three_entries};

#[test]
fn a_ledger_cut_off_anywhere_opens_with_all_entries_that_were_acknowledged() {
    let bytes = three_entries();
    for cut in 0..=bytes.len() {
        let left = &bytes[..cut];
        let complete = left.iter().filter(|&&byte| byte == b'\n').count();
        let ledger = Ledger::open(MemoryLedgerStorage::with_bytes(left.to_vec())).unwrap();
        // One more where only the line break is missing.
        let unterminated = bytes.get(cut) == Some(&b'\n');
        assert_eq!(
            ledger.entries().len(),
            complete + usize::from(unterminated),
            "cut at {cut}"
        );
        let head = ledger.head();
        let mut ledger = Ledger::open(ledger.into_storage()).unwrap();
        assert_eq!(
            (ledger.head(), ledger.repaired()),
            (head, None),
            "repaired for good"
        );
        ledger.spend(draft("visits", 9)).unwrap();
        chain::verify(ledger.into_storage().bytes()).unwrap();
    }
}

#[test]
fn a_torn_line_is_told_apart_from_a_missing_line_break() {
    let bytes = three_entries();
    let cut = |by: usize| chain::verify(&bytes[..bytes.len() - by]).unwrap().tail;
    assert_eq!(cut(0), Tail::Clean);
    assert_eq!(cut(1), Tail::Unterminated);
    assert!(matches!(cut(2), Tail::Torn { .. }));
    let Tail::Torn {
        sound_bytes,
        torn_bytes,
    } = cut(10)
    else {
        panic!()
    };
    assert_eq!(sound_bytes + torn_bytes, bytes.len() as u64 - 10);
}

#[test]
fn a_change_of_any_byte_is_noticed_and_its_line_named() {
    let bytes = three_entries();
    let mut line = 1;
    for index in 0..bytes.len() - 1 {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        match chain::verify(&changed) {
            Err(error) => assert!(error.line == line || error.line == line + 1, "byte {index}"),
            // Breaking a line break off joins two lines; the last is then the one at fault.
            Ok(_) => panic!("byte {index} was changed unnoticed"),
        }
        if bytes[index] == b'\n' {
            line += 1;
        }
    }
}

#[test]
fn removed_repeated_and_swapped_lines_are_noticed() {
    let all = lines(&three_entries());
    let [a, b, c] = [all[0].clone(), all[1].clone(), all[2].clone()];
    let damage = |lines: &[&String]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.clone()).collect();
        chain::verify(&joined(&lines)).unwrap_err()
    };
    let error = damage(&[&a, &c]);
    assert_eq!(
        (error.line, error.damage),
        (
            2,
            Damage::Index {
                expected: 1,
                found: 2
            }
        )
    );
    assert_eq!(damage(&[&a, &a, &b]).line, 2);
    assert_eq!(damage(&[&b, &a, &c]).line, 1);
    // A sound entry of the right index, but from another ledger.
    let mut other = memory();
    other.spend(draft("other", 0)).unwrap();
    other.spend(draft("other", 1)).unwrap();
    let foreign = lines(other.into_storage().bytes())[1].clone();
    let error = damage(&[&a, &foreign]);
    assert_eq!((error.line, error.damage), (2, Damage::Link));
}

#[test]
fn an_empty_line_and_lines_of_other_things_are_damage() {
    for bytes in [
        b"\n".as_slice(),
        b"{}\n",
        b"null\n",
        b"\xff\n",
        b"\0\0\0\n",
        &[b'['; 100_000],
    ] {
        let bytes = [bytes, b"\n"].concat();
        let error = chain::verify(&bytes).unwrap_err();
        assert_eq!(error.line, 1);
        assert!(matches!(error.damage, Damage::Entry(_)));
    }
}

#[test]
fn an_entry_of_a_later_version_asks_for_an_update() {
    let line = br#"{"version":2,"something":"new"}"#;
    assert_eq!(LedgerEntry::from_line(line), Err(InvalidEntry::Version(2)));
    let message = InvalidEntry::Version(2).to_string();
    assert!(message.contains("update"), "{message}");
}
