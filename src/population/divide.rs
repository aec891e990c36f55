//! Which rows of one table each client has.

use std::collections::HashMap;

use umbel_coordinator::config::{ConfigError, DividedTable, Split};
use umbel_model::data::{DataError, GroupColumn, Table};
use umbel_privacy::private_rng::NoiseSource;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::message::ClientId;

use super::split;
use crate::failure::Failure;

/// The clients that a table was divided among.
pub(super) struct Division {
    /// Each with its rows, ascending.
    pub(super) clients: Vec<(ClientId, Box<[u32]>)>,
    /// What is worth telling of it.
    pub(super) notes: Vec<String>,
}

/// Divides a table as its section says. The table comes back without the column of clients, which
/// isn't needed any more.
///
/// # Errors
/// [`Failure`] where it can't be divided so; where a client is the unit, for values that are nobody's, or
/// one client's in several spellings. Those in `real_ids` are clients just as they are written.
pub(super) fn divided(
    mut table: Table,
    (section, real_ids): (&DividedTable, &[String]),
    unit: Option<PrivacyUnit>,
) -> Result<(Table, Division), Failure> {
    if table.rows.is_empty() {
        return Err(DataError::NoRows {
            file: table.file,
            cleaned: table.cleaned,
        }
        .into());
    }
    if u32::try_from(table.rows.len()).is_err() {
        return Err(refuse("clients.from", "has more than 4,294,967,295 rows"));
    }
    let division = match (&section.by, section.split) {
        (Some(column), _) => {
            if unit == Some(PrivacyUnit::Client) {
                check_clients(&table, column, real_ids)?;
            }
            by_column(&mut table, column, unit)?
        }
        (None, split) => by_split(&table, section, split.unwrap_or(Split::Iid), unit)?,
    };
    Ok((table, division))
}

/// Characters that are shown of a value that can't be a name.
const SHOWN: usize = 40;

/// A client for each value of the column, in the order in which they first appear.
fn by_column(
    table: &mut Table,
    column: &str,
    unit: Option<PrivacyUnit>,
) -> Result<Division, Failure> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut clients: Vec<(String, Vec<u32>)> = Vec::new();
    for (i, row) in (0..).zip(&mut table.rows) {
        let value = row.client.take().unwrap_or_default();
        let place = *places.entry(value).or_insert_with_key(|value| {
            clients.push((value.clone(), Vec::new()));
            clients.len() - 1
        });
        clients[place].1.push(i);
    }
    if unit == Some(PrivacyUnit::Group) {
        check_groups(table, &clients)?;
    }
    let mut notes = Vec::new();
    let name = |value: &String| value.parse().map_err(|_| value.clone());
    let names: Result<Vec<ClientId>, String> =
        clients.iter().map(|(value, _)| name(value)).collect();
    let names = names.unwrap_or_else(|value| {
        let begin: String = value.chars().take(SHOWN).collect();
        let more = if begin.len() < value.len() { "..." } else { "" };
        notes.push(format!(
            "not every value of column {column:?} can be a client's name (up to 64 letters, digits, \
             `.`, `_`, `-`), such as {begin:?}{more}, so clients are numbered in the order in which \
             they appear in the table"
        ));
        numbered(clients.len())
    });
    let rows = clients.into_iter().map(|(_, rows)| rows.into_boxed_slice());
    Ok(Division {
        clients: names.into_iter().zip(rows).collect(),
        notes,
    })
}

/// Refuses what would count as one client and is several people's, or as several and is one's.
fn check_clients(table: &Table, column: &str, real_ids: &[String]) -> Result<(), DataError> {
    let column = GroupColumn {
        name: column.to_owned(),
        real_ids: real_ids.to_vec(),
    };
    let rows = table.rows.iter();
    column.check(
        rows.map(|row| (row.client.as_deref(), row.row)),
        &table.file,
    )
}

/// Refuses a group whose rows several clients have: each of them would protect only a part of it.
fn check_groups(table: &Table, clients: &[(String, Vec<u32>)]) -> Result<(), Failure> {
    let mut homes: HashMap<&str, &str> = HashMap::new();
    for (client, rows) in clients {
        for row in rows.iter().filter_map(|row| table.rows.get(*row as usize)) {
            let Some(group) = row.group.as_deref() else {
                continue;
            };
            let home = *homes.entry(group).or_insert(client);
            if home != client {
                return Err(refuse(
                    "clients.by",
                    format!(
                        "group {group:?} has rows at clients {home:?} and {client:?}, so that each \
                         would protect a part of it only; divide by the column under data.group, \
                         or take unit \"client\""
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// So many clients, each with the rows that a random split gives it.
fn by_split(
    table: &Table,
    section: &DividedTable,
    kind: Split,
    unit: Option<PrivacyUnit>,
) -> Result<Division, Failure> {
    let count = section.clients.map_or(1, |clients| clients.get() as usize);
    let parcels = parcels(table, unit)?;
    if parcels.len() < count {
        let what = match unit {
            Some(PrivacyUnit::Group) => "groups",
            Some(PrivacyUnit::Record | PrivacyUnit::Client) | None => "rows",
        };
        return Err(refuse(
            "clients.clients",
            format!(
                "is {count}, and the number of {what} in {} is {}; each client needs one at least",
                table.file.display(),
                parcels.len()
            ),
        ));
    }
    let mut rng = NoiseSource::seeded(section.seed, "simulation/clients");
    let alpha = section.alpha.map_or(1.0, |alpha| alpha.get());
    let dealt = match kind {
        Split::Iid => split::evenly(parcels.len(), count, &mut rng),
        Split::Quantity => split::by_quantity(parcels.len(), (count, alpha), &mut rng),
        Split::Dirichlet => {
            let labels = labels(table, &parcels);
            split::by_label(&labels, (count, alpha), &mut rng)
        }
    };
    let rows = dealt.into_iter().map(|own| {
        let mut rows: Vec<u32> = own.into_iter().flat_map(|i| parcels[i].clone()).collect();
        rows.sort_unstable();
        rows.into_boxed_slice()
    });
    Ok(Division {
        clients: numbered(count).into_iter().zip(rows).collect(),
        notes: Vec::new(),
    })
}

/// What is dealt as a whole: rows, or the rows of a group where that is the unit.
fn parcels(table: &Table, unit: Option<PrivacyUnit>) -> Result<Vec<Vec<u32>>, Failure> {
    if unit != Some(PrivacyUnit::Group) {
        return Ok((0..table.rows.len() as u32).map(|row| vec![row]).collect());
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut parcels: Vec<Vec<u32>> = Vec::new();
    for (i, row) in (0..).zip(&table.rows) {
        let Some(group) = row.group.as_deref() else {
            // Its site refuses it, and says how to mend that.
            parcels.push(vec![i]);
            continue;
        };
        let place = *places.entry(group).or_insert_with(|| {
            parcels.push(Vec::new());
            parcels.len() - 1
        });
        parcels[place].push(i);
    }
    Ok(parcels)
}

/// The label of each parcel, as a number: that of its first row.
fn labels(table: &Table, parcels: &[Vec<u32>]) -> Vec<usize> {
    let mut numbers: HashMap<&[String], usize> = HashMap::new();
    let first = parcels.iter().filter_map(|rows| rows.first());
    first
        .filter_map(|row| table.rows.get(*row as usize))
        .map(|row| {
            let next = numbers.len();
            *numbers.entry(row.label.names()).or_insert(next)
        })
        .collect()
}

/// `client-001`, `client-002`, ...: in the order of the numbers, and of the names.
fn numbered(count: usize) -> Vec<ClientId> {
    let width = count.to_string().len();
    let name = |i: usize| format!("client-{i:0width$}").parse();
    // Such a name is always one.
    (1..=count).filter_map(|i| name(i).ok()).collect()
}

fn refuse(key: &str, reason: impl Into<String>) -> Failure {
    ConfigError::Check {
        key: key.into(),
        reason: reason.into(),
    }
    .into()
}

#[cfg(test)]
#[path = "divide_tests.rs"]
mod tests;
