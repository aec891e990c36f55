//! The clients of a simulation and their rows: each table is read once, cleaned once, and held for
//! all who train on it. A client's own rows are handed to it when it trains.
//!
//! | module | what it is for |
//! |---|---|
//! | `divide` | which rows of one table each client has |
//! | `split` | the random splits: IID, by labels, by quantity |
//! | `share` | a client's rows, as its site gets them |

mod divide;
mod share;
mod split;

use std::collections::HashSet;
use std::sync::Arc;

use umbel_coordinator::config::RunConfig;
use umbel_model::data::{Table, clean, read_table};
use umbel_proto::message::ClientId;

use crate::failure::Failure;
use crate::simulated_sites::data_of;
use divide::divided;
pub(crate) use share::Share;
use share::{Room, Which};

/// Bytes of tokenised rows that stay with clients until they train again, of all clients together.
/// More than that is given back after each training, and tokenised anew.
const TOKENS: usize = 512 << 20;

/// The clients of a simulation.
pub(crate) struct Population {
    clients: Vec<Member>,
    /// What is worth telling about how they were made.
    notes: Vec<String>,
}

/// A client and its rows.
struct Member {
    name: ClientId,
    /// `None` if its table can't be read: its site says why.
    share: Option<Arc<Share>>,
}

/// How many different clients a table names.
fn clients_in(table: &Table) -> usize {
    let named = table.rows.iter().filter_map(|row| row.client.as_deref());
    named.collect::<HashSet<&str>>().len()
}

impl Population {
    /// Reads every table once. Where the labels are configured, a client's table that can't be read
    /// is left out: its client says so, and the run may go on without it.
    pub(crate) fn read(config: &RunConfig) -> Result<Self, Failure> {
        let room = Arc::new(Room::of(TOKENS));
        let schema = config.schema();
        let cleaned = |table| match config.data.clean {
            true => clean(table).0,
            false => table,
        };
        let share = |table: &Arc<Table>, which| {
            let share = Share::of(Arc::clone(table), which, Arc::clone(&room));
            Some(Arc::new(share))
        };
        if let Some(section) = config.clients.divided() {
            let table = read_table(&section.from, &schema)?;
            let before = match config.data.clean {
                true => clients_in(&table),
                false => 0,
            };
            let section = (section, &*schema.real_ids);
            let (table, mut division) = divided(cleaned(table), section, config.privacy.unit)?;
            let left = division.clients.len();
            if let (Some(column), true) = (&section.0.by, left < before) {
                division.notes.push(format!(
                    "{left} of the {before} clients in column {column:?} are in this run: cleaning \
                     left the others no row"
                ));
            }
            let table = Arc::new(table);
            let member = |(name, rows)| Member {
                name,
                share: share(&table, Which::These(rows)),
            };
            return Ok(Self {
                clients: division.clients.into_iter().map(member).collect(),
                notes: division.notes,
            });
        }
        let mut clients = Vec::with_capacity(config.clients.len());
        for client in &config.clients {
            let name = client.name.clone();
            let share = match read_table(data_of(client)?, &schema) {
                Err(_) if !config.outputs().is_empty() => None,
                table => share(&Arc::new(cleaned(table?)), Which::All),
            };
            clients.push(Member { name, share });
        }
        Ok(Self {
            clients,
            notes: Vec::new(),
        })
    }

    /// Their names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ClientId> {
        self.clients.iter().map(|client| &client.name)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// What is worth telling about how they were made.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The rows of each client, in the order of the names; `None` for a table that can't be read.
    pub(crate) fn shares(&self) -> impl Iterator<Item = Option<&Arc<Share>>> {
        self.clients.iter().map(|client| client.share.as_ref())
    }

    /// Each client whose table could be read, with its rows.
    pub(crate) fn able(&self) -> impl Iterator<Item = (&ClientId, &Share)> {
        let clients = self.clients.iter();
        clients.filter_map(|client| Some((&client.name, client.share.as_deref()?)))
    }

    /// The tables, each once.
    pub(crate) fn tables(&self) -> Vec<&Table> {
        let mut tables: Vec<&Table> = Vec::new();
        for share in self.shares().flatten() {
            // Clients of one table follow each other.
            if !tables
                .last()
                .is_some_and(|last| std::ptr::eq(*last, share.whole()))
            {
                tables.push(share.whole());
            }
        }
        tables
    }
}
