//! A client's rows among those of a table that is held once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use umbel_client::site_table::{HeldTable, SiteRows};
use umbel_model::data::{Row, Table};

/// The rows of one client.
pub(crate) struct Share {
    table: Arc<Table>,
    which: Which,
    room: Arc<Room>,
    /// Bytes of the room that its tokenised rows take.
    taken: AtomicUsize,
}

/// Which rows of a table.
pub(super) enum Which {
    All,
    These(Box<[u32]>),
}

/// Bytes that tokenised rows may take, of all clients together.
pub(super) struct Room {
    left: AtomicUsize,
}

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        let left = AtomicUsize::new(bytes);
        Self { left }
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Share {
    pub(super) fn of(table: Arc<Table>, which: Which, room: Arc<Room>) -> Self {
        Self {
            table,
            which,
            room,
            taken: AtomicUsize::new(0),
        }
    }

    /// The rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        let rows = &self.table.rows;
        let (all, these) = match &self.which {
            Which::All => (rows.as_slice(), &[][..]),
            Which::These(these) => (&[][..], &**these),
        };
        let these = these.iter().filter_map(|row| rows.get(*row as usize));
        all.iter().chain(these)
    }

    /// The table that they are a part of.
    pub(super) fn whole(&self) -> &Table {
        &self.table
    }
}

impl HeldTable for Share {
    fn table(&self) -> Table {
        let whole = &*self.table;
        Table {
            file: whole.file.clone(),
            group: whole.group.clone(),
            cleaned: whole.cleaned,
            asked: whole.asked,
            class_names: whole.class_names.clone(),
            notes: Vec::new(),
            rows: self.rows().cloned().collect(),
        }
    }

    fn stay(&self, rows: &SiteRows) -> bool {
        if self.taken.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let bytes = rows.bytes();
        let stays = self.room.take(bytes);
        if stays {
            self.taken.store(bytes, Ordering::Relaxed);
        }
        stays
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.give_back(*self.taken.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(which: Which) -> Share {
        let row = |text: &str| Row {
            text: text.into(),
            second: None,
            label: "a".into(),
            group: None,
            client: None,
            row: 1,
        };
        let rows = ["one", "two", "three"].map(row).to_vec();
        let table = Table {
            rows,
            ..Table::default()
        };
        Share::of(Arc::new(table), which, Arc::new(Room::of(10)))
    }

    #[test]
    fn a_client_has_its_own_rows_and_no_others() {
        let texts = |which| {
            let table = share(which).table();
            let texts = table.rows.into_iter().map(|row| row.text);
            texts.collect::<Vec<_>>()
        };
        assert_eq!(texts(Which::All), ["one", "two", "three"]);
        assert_eq!(texts(Which::These([2, 0].into())), ["three", "one"]);
    }

    #[test]
    fn room_that_is_taken_comes_back() {
        let room = Room::of(10);
        assert!(room.take(8) && !room.take(3) && room.take(2));
        room.give_back(8);
        assert!(room.take(3));
    }
}
