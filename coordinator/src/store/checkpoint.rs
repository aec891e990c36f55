//! The result of a round, as it is stored before anybody gets it.
//!
//! A safetensors file. Its tensor `trainable` has the trained parameters in the order of the
//! plan's layout, as clients get them; `optimiser.N` are what the server's optimiser remembers.
//! Everything in it is computed from noised sums. Numbers in the header are written by their
//! bits, so that none of them is rounded.

use std::convert::Infallible;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use umbel_privacy::ledger::EntryHash;
use umbel_proto::message::BlobDigest;

use super::record::RoundReleased;
use crate::strategy::State;

/// What a round has made of the model, and of all that the next round depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The round, from 1.
    pub round: u32,
    /// The trained parameters.
    pub parameters: Arc<[f32]>,
    /// What the server's optimiser remembers.
    pub optimiser: State,
    /// The next round's clipping threshold, with adaptive clipping.
    pub threshold: Option<f32>,
    /// The ledger entry that paid for it; `None` without privacy.
    pub entry: Option<EntryHash>,
    /// What its line of metrics says besides.
    pub told: Told,
}

/// Numbers of a round that its line of metrics has, should that have to be written later.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Epsilon spent on the data set after the round.
    pub epsilon: Option<f64>,
    /// The learning rate of its step.
    pub learning_rate: f64,
    /// The noisy share of units that weren't clipped.
    pub unclipped: Option<f64>,
    /// Seconds since the run began.
    pub seconds: f64,
}

/// The longest header that is read.
const LONGEST_HEADER: u64 = 1 << 20;

fn wrong(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

impl Checkpoint {
    /// The record that says that this is stored.
    pub fn record(&self) -> RoundReleased {
        let (parameters, optimiser) =
            rayon::join(|| self.parameters_digest(), || self.optimiser_digest());
        RoundReleased {
            round: self.round,
            entry: self.entry,
            parameters,
            optimiser,
            threshold: self.threshold.map(f32::to_bits),
        }
    }

    fn parameters_digest(&self) -> BlobDigest {
        let mut hash = Sha256::new();
        add_numbers(&mut hash, &self.parameters, f32::to_le_bytes);
        BlobDigest::from(<[u8; 32]>::from(hash.finalize()))
    }

    fn optimiser_digest(&self) -> BlobDigest {
        let mut hash = Sha256::new();
        hash.update(self.optimiser.steps.to_le_bytes());
        for moment in &self.optimiser.moments {
            hash.update((moment.len() as u64).to_le_bytes());
            add_numbers(&mut hash, moment, f64::to_le_bytes);
        }
        BlobDigest::from(<[u8; 32]>::from(hash.finalize()))
    }

    /// Writes it as safetensors: the length of a JSON header, the header, the numbers.
    ///
    /// # Errors
    /// Whatever writing fails with.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_as(&self.record(), out)
    }

    /// The same, where its record is known: hashing a large model takes a while.
    pub(super) fn write_as(&self, record: &RoundReleased, out: &mut dyn Write) -> io::Result<()> {
        let mut header = self.header(record).to_string().into_bytes();
        // The format asks that the numbers begin at a multiple of eight bytes.
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut out = BufWriter::with_capacity(1 << 20, out);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        in_pieces(&self.parameters, f32::to_le_bytes, |b| out.write_all(b))?;
        for moment in &self.optimiser.moments {
            in_pieces(moment, f64::to_le_bytes, |b| out.write_all(b))?;
        }
        out.flush()
    }

    fn header(&self, record: &RoundReleased) -> Value {
        let mut said = Map::new();
        let mut say = |key: &str, value: String| said.insert(key.into(), json!(value));
        say("round", self.round.to_string());
        say("steps", self.optimiser.steps.to_string());
        say("parameters_sha256", record.parameters.to_string());
        say("optimiser_sha256", record.optimiser.to_string());
        say("learning_rate_bits", bits(self.told.learning_rate));
        say("seconds_bits", bits(self.told.seconds));
        if let Some(entry) = &self.entry {
            say("ledger_entry", entry.to_string());
        }
        if let Some(threshold) = self.threshold {
            say("threshold_bits", format!("{:08x}", threshold.to_bits()));
        }
        if let Some(epsilon) = self.told.epsilon {
            say("epsilon_bits", bits(epsilon));
        }
        if let Some(unclipped) = self.told.unclipped {
            say("unclipped_bits", bits(unclipped));
        }
        let mut header = Map::new();
        header.insert("__metadata__".into(), Value::Object(said));
        let mut end = 0;
        let mut tensor = |name: String, dtype: &str, numbers: usize, width: usize| {
            let begin = end;
            end += numbers * width;
            let described = json!({
                "dtype": dtype, "shape": [numbers], "data_offsets": [begin, end],
            });
            header.insert(name, described);
        };
        tensor("trainable".into(), "F32", self.parameters.len(), 4);
        for (i, moment) in self.optimiser.moments.iter().enumerate() {
            tensor(format!("optimiser.{i}"), "F64", moment.len(), 8);
        }
        Value::Object(header)
    }

    /// Reads what [`Self::write`] wrote, to its last byte.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut length = [0; 8];
        input.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER {
            return Err(wrong("its header is too long"));
        }
        let mut header = Vec::new();
        input.by_ref().take(length).read_to_end(&mut header)?;
        let header: Value = serde_json::from_slice(&header)?;
        let said = Said(&header["__metadata__"]);
        let parameters = numbers::<4>(input, shape(&header, "trainable")?)?;
        let parameters = parameters.into_iter().map(f32::from_le_bytes).collect();
        let mut optimiser = State {
            steps: said.required("steps")?.parse().map_err(wrong)?,
            ..State::default()
        };
        for i in 0.. {
            let name = format!("optimiser.{i}");
            if header.get(&name).is_none() {
                break;
            }
            let moment = numbers::<8>(input, shape(&header, &name)?)?;
            let moment = moment.into_iter().map(f64::from_le_bytes).collect();
            optimiser.moments.push(Arc::new(moment));
        }
        if input.read(&mut [0])? > 0 {
            return Err(wrong("it goes on behind its end"));
        }
        let threshold = said.get("threshold_bits");
        let threshold = threshold.map(|t| u32::from_str_radix(t, 16).map(f32::from_bits));
        let entry = said.get("ledger_entry").map(str::parse::<EntryHash>);
        let checkpoint = Self {
            round: said.required("round")?.parse().map_err(wrong)?,
            parameters,
            optimiser,
            threshold: threshold.transpose().map_err(wrong)?,
            entry: entry.transpose().map_err(wrong)?,
            told: Told {
                epsilon: said.number("epsilon_bits")?,
                learning_rate: said.number("learning_rate_bits")?.unwrap_or_default(),
                unclipped: said.number("unclipped_bits")?,
                seconds: said.number("seconds_bits")?.unwrap_or_default(),
            },
        };
        let record = checkpoint.record();
        let same = |key, digest: BlobDigest| said.get(key) == Some(&digest.to_string());
        if same("parameters_sha256", record.parameters)
            && same("optimiser_sha256", record.optimiser)
        {
            Ok(checkpoint)
        } else {
            Err(wrong("its numbers aren't those that were written"))
        }
    }
}

/// Numbers whose bytes are handed on at a time.
const PIECE: usize = 1 << 14;

/// Hands on the bytes of all numbers, in order.
fn in_pieces<T: Copy, const N: usize, E>(
    numbers: &[T],
    bytes_of: impl Fn(T) -> [u8; N],
    mut hand_on: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut bytes = vec![[0; N]; PIECE.min(numbers.len())];
    for piece in numbers.chunks(PIECE) {
        for (to, number) in bytes.iter_mut().zip(piece) {
            *to = bytes_of(*number);
        }
        hand_on(bytes[..piece.len()].as_flattened())?;
    }
    Ok(())
}

fn add_numbers<T: Copy, const N: usize>(
    hash: &mut Sha256,
    numbers: &[T],
    bytes_of: impl Fn(T) -> [u8; N],
) {
    let Ok(()) = in_pieces(numbers, bytes_of, |bytes| {
        hash.update(bytes);
        Ok::<(), Infallible>(())
    });
}

fn bits(number: f64) -> String {
    format!("{:016x}", number.to_bits())
}

/// The header's texts.
struct Said<'a>(&'a Value);

impl Said<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn required(&self, key: &str) -> io::Result<&str> {
        self.get(key)
            .ok_or_else(|| wrong(format!("{key} is missing")))
    }

    fn number(&self, key: &str) -> io::Result<Option<f64>> {
        let number = |text| u64::from_str_radix(text, 16).map(f64::from_bits);
        self.get(key).map(number).transpose().map_err(wrong)
    }
}

/// How many numbers a tensor has.
fn shape(header: &Value, name: &str) -> io::Result<u64> {
    let numbers = &header[name]["shape"][0];
    let missing = || wrong(format!("the tensor {name} is missing"));
    numbers.as_u64().ok_or_else(missing)
}

/// So many numbers of `N` bytes. Memory is taken as they come, whatever the header says.
fn numbers<const N: usize>(input: &mut impl Read, count: u64) -> io::Result<Vec<[u8; N]>> {
    let mut bytes = Vec::new();
    let wanted = count.saturating_mul(N as u64);
    input.by_ref().take(wanted).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != wanted {
        return Err(wrong("it ends too early"));
    }
    let (numbers, _) = bytes.as_chunks::<N>();
    Ok(numbers.to_vec())
}
