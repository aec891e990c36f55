//! Every byte of a certificate and of a ledger counts.

use proptest::prelude::*;

use super::*;

#[test]
fn a_certificate_reads_back_as_it_was_signed() {
    let run = run();
    let signed = SignedCertificate::read(&run.certificate).unwrap();
    assert_eq!(signed.bytes(), run.certificate);
    let files: Vec<_> = run.files.clone();
    assert_eq!(signed.certificate(), &certificate(&run.ledger, &files));
    assert!(run.certificate.ends_with(b"\"}\n"));
    assert_eq!(run.certificate.iter().filter(|&&b| b == b'\n').count(), 1);
}

#[test]
fn every_change_of_one_bit_of_a_certificate_is_noticed() {
    let run = run();
    for position in 0..run.certificate.len() {
        for bit in 0..8 {
            let mut changed = run.certificate.clone();
            changed[position] ^= 1 << bit;
            assert!(
                SignedCertificate::read(&changed).is_err(),
                "{position} {bit}"
            );
        }
    }
}

#[test]
fn every_change_of_one_bit_of_a_ledger_is_noticed() {
    let run = run();
    for position in 0..run.ledger.len() {
        let mut changed = run.clone();
        changed.ledger[position] ^= 1 << (position % 8);
        assert!(changed.failures().contains(&"ledger"), "{position}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_byte_is_changed_added_or_taken_away_unnoticed(
        which in 0usize..5,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..4,
    ) {
        let honest = run();
        let mut changed = honest.clone();
        let content = match which {
            0 => &mut changed.certificate,
            1 => &mut changed.ledger,
            n => &mut changed.files[n - 2].1,
        };
        let before = content.clone();
        let at = at.index(content.len());
        match how {
            0 => content[at] = byte,
            1 => content.insert(at, byte),
            2 => content.truncate(at),
            _ => content.push(byte),
        }
        let same = *content == before;
        prop_assert_eq!(changed.failures().is_empty(), same);
    }
}

#[test]
fn white_space_and_line_ends_count_like_every_byte() {
    let run = run();
    let text = String::from_utf8(run.certificate.clone()).unwrap();
    for changed in [
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!(" {text}"),
        text.replace('\n', "\r\n"),
        text.replacen(":", ": ", 1),
        text.replace("\"}\n", "\" }\n"),
    ] {
        assert!(
            SignedCertificate::read(changed.as_bytes()).is_err(),
            "{changed}"
        );
    }
    let text = String::from_utf8(run.ledger.clone()).unwrap();
    for changed in [
        text.trim_end().to_owned(),
        format!("{text}\n"),
        text.replace('\n', "\r\n"),
        text.replacen(":", ": ", 1),
        text.lines()
            .take(4)
            .map(|line| format!("{line}\n"))
            .collect(),
    ] {
        let changed = Run {
            ledger: changed.into_bytes(),
            ..run.clone()
        };
        assert!(changed.failures().contains(&"ledger"));
    }
}
