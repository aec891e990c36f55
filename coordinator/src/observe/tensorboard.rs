//! TensorBoard's event files: a run's curves, as `metrics.jsonl` has them.
//!
//! A file is a row of records, as TensorFlow has them: the length, its checksum, the bytes, their
//! checksum. The bytes are a protobuf message `Event` (`tensorflow/core/util/event.proto`), of which the
//! fields `wall_time` = 1, `step` = 2, `file_version` = 3 and `summary` = 5 are written here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::Value;

use super::recorder::Metric;

/// The folder of a run's event files, in the run's own.
pub const TENSORBOARD: &str = "tensorboard";

/// What every file begins with.
const VERSION: &str = "brain.Event:2";

/// A file of events that goes on.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    /// When the run began, in seconds since 1970.
    started: f64,
}

impl EventFile {
    /// Begins a file in this folder, which is made if it isn't there. Files of earlier processes stay,
    /// and TensorBoard reads all of them.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(folder: &Path, started: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let before = fs::read_dir(folder)?.count();
        let name = format!("events.out.tfevents.{started:010}.umbel.{before}");
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create_new(true)
            .open(folder.join(name))?;
        let started = started as f64;
        let mut events = Self { file, started };
        let version = bytes(3, VERSION.as_bytes());
        events
            .file
            .write_all(&record(&event(started, 0, &version)))?;
        Ok(events)
    }

    /// Writes what is known of a round.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, metric: &Metric) -> io::Result<()> {
        let values = scalars(metric).into_iter();
        let values = values.flat_map(|(tag, number)| {
            let mut value = bytes(1, tag.as_bytes());
            value.push(key(2, FOUR_BYTES));
            value.extend((number as f32).to_le_bytes());
            bytes(1, &value)
        });
        let summary = bytes(5, &values.collect::<Vec<u8>>());
        let at = self.started + metric.seconds;
        let event = event(at, metric.round.into(), &summary);
        self.file.write_all(&record(&event))
    }
}

/// The numbers of a round, by the names that they have in `metrics.jsonl`.
fn scalars(metric: &Metric) -> Vec<(String, f64)> {
    let Ok(Value::Object(line)) = serde_json::to_value(metric) else {
        return Vec::new();
    };
    let numbers = line.into_iter().filter(|(name, _)| name != "round");
    numbers
        .filter_map(|(name, value)| Some((name, value.as_f64()?)))
        .collect()
}

const EIGHT_BYTES: u8 = 1;
const LENGTH_FIRST: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// What a field of a message begins with.
const fn key(field: u8, form: u8) -> u8 {
    field << 3 | form
}

/// A field that is bytes, a text or a message.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut written = vec![key(field, LENGTH_FIRST)];
    varint(content.len() as u64, &mut written);
    written.extend(content);
    written
}

/// A whole number, seven bits at a time.
fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number > 0x7f {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// A message `Event`.
fn event(wall_time: f64, step: u64, what: &[u8]) -> Vec<u8> {
    let mut written = vec![key(1, EIGHT_BYTES)];
    written.extend(wall_time.to_le_bytes());
    written.push(key(2, 0));
    varint(step, &mut written);
    written.extend(what);
    written
}

/// A record of a file.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut written = length.to_vec();
    written.extend(masked(crc32c(&length)).to_le_bytes());
    written.extend(content);
    written.extend(masked(crc32c(content)).to_le_bytes());
    written
}

/// A checksum of bytes that may hold checksums themselves (`tensorflow/tsl/lib/hash/crc32c.h`).
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Castagnoli's CRC (RFC 3720, B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    let crc = bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes from the front.
    fn take<'a>(from: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = from.split_at(count);
        *from = rest;
        taken
    }

    fn number(from: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = take(from, 1)[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// The fields of a message: numbers as their bytes.
    fn fields(mut message: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        while !message.is_empty() {
            let key = take(&mut message, 1)[0];
            let content = match key & 7 {
                0 => number(&mut message).to_le_bytes().to_vec(),
                1 => take(&mut message, 8).to_vec(),
                2 => {
                    let length = number(&mut message);
                    take(&mut message, length as usize).to_vec()
                }
                5 => take(&mut message, 4).to_vec(),
                form => panic!("form {form}"),
            };
            found.push((key >> 3, content));
        }
        found
    }

    /// The contents of a file's records, whose checksums are right.
    fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let length = take(&mut file, 8);
            assert_eq!(take(&mut file, 4), masked(crc32c(length)).to_le_bytes());
            let length = u64::from_le_bytes(length.try_into().unwrap());
            let content = take(&mut file, length as usize);
            assert_eq!(take(&mut file, 4), masked(crc32c(content)).to_le_bytes());
            found.push(content.to_vec());
        }
        found
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4, and the usual check value.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_reads_back_as_the_metrics_that_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tensorboard");
        let line = |round: u32, loss: f64| -> Metric {
            let line = serde_json::json!({
                "round": round, "loss": loss, "learning_rate": 0.5, "seconds": 1.5, "clients": 300,
                "gave": ["a", "b"],
            });
            serde_json::from_value(line).unwrap()
        };
        let mut file = EventFile::begin(&folder, 1_700_000_000).unwrap();
        file.write(&line(1, 0.75)).unwrap();
        file.write(&line(400, 0.25)).unwrap();
        // Another process goes on in a file of its own.
        drop(EventFile::begin(&folder, 1_700_000_000).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        let path = folder.join("events.out.tfevents.1700000000.umbel.0");
        let events: Vec<_> = records(&fs::read(path).unwrap())
            .iter()
            .map(|record| fields(record))
            .collect();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0][2], (3, b"brain.Event:2".to_vec()));
        for (event, round, loss) in [(&events[1], 1u64, 0.75f32), (&events[2], 400, 0.25)] {
            assert_eq!(event[0], (1, 1_700_000_001.5f64.to_le_bytes().to_vec()));
            assert_eq!(event[1], (2, round.to_le_bytes().to_vec()));
            let values = fields(&event[2].1);
            let value = |(_, value): &(u8, Vec<u8>)| {
                let value = fields(value);
                let number = f32::from_le_bytes(value[1].1[..].try_into().unwrap());
                (String::from_utf8(value[0].1.clone()).unwrap(), number)
            };
            let found: std::collections::BTreeMap<_, _> = values.iter().map(value).collect();
            let expected = [
                ("clients", 300.0),
                ("learning_rate", 0.5),
                ("loss", loss),
                ("seconds", 1.5),
            ];
            assert_eq!(found, expected.map(|(name, n)| (name.to_owned(), n)).into());
        }
    }
}
