//! What the log says of connections that were refused: the first ones with address and reason,
//! of more their number. A flood fills no disk.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::door::Origin;

/// How long one count lasts.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Refusals of a window that have a line each.
const TOLD: u64 = 10;
/// Origins that are told apart in a window.
const MOST_ORIGINS: usize = 1024;

/// Tells of refused connections, at a limited rate.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<Window>);

impl RefusalLog {
    /// A connection was refused, or is worth a line for another reason.
    pub(super) fn note(&self, from: SocketAddr, why: &impl fmt::Display) {
        if self.window(|window| window.note(Origin::of(from.ip()))) {
            tracing::warn!(%from, "connection refused: {why}");
        }
    }

    /// A window is over: what was only counted in it is told now.
    pub(super) fn turn(&self) {
        if let Some(more) = self.window(Window::turn) {
            tracing::warn!("{more}");
        }
    }

    fn window<T>(&self, act: impl FnOnce(&mut Window) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, Default)]
struct Window {
    seen: u64,
    /// Those that were only counted.
    by_origin: BTreeMap<Origin, u64>,
}

/// Refusals that had no line of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct More {
    all: u64,
    origins: usize,
    busiest: (Origin, u64),
}

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, count) = self.busiest;
        write!(
            f,
            "{} more connections were refused within {} seconds, from {}{} addresses, {count} of \
             them from {origin}",
            self.all,
            WINDOW.as_secs(),
            if self.origins == MOST_ORIGINS {
                "at least "
            } else {
                ""
            },
            self.origins
        )
    }
}

impl Window {
    /// Whether this refusal has a line of its own.
    fn note(&mut self, origin: Origin) -> bool {
        self.seen = self.seen.saturating_add(1);
        if self.seen <= TOLD {
            return true;
        }
        if self.by_origin.len() < MOST_ORIGINS || self.by_origin.contains_key(&origin) {
            let count = self.by_origin.entry(origin).or_default();
            *count = count.saturating_add(1);
        }
        false
    }

    fn turn(&mut self) -> Option<More> {
        let Self { seen, by_origin } = std::mem::take(self);
        let (origin, count) = by_origin.iter().max_by_key(|(_, count)| **count)?;
        Some(More {
            all: seen.saturating_sub(TOLD),
            origins: by_origin.len(),
            busiest: (*origin, *count),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::IpAddr;

    fn origin(last: u8) -> Origin {
        Origin::of(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_flood_has_ten_lines_and_a_sum() {
        let mut window = Window::default();
        let lines = (0..1100).filter(|_| window.note(origin(7))).count();
        assert_eq!(lines, 10);
        window.note(origin(8));
        let more = window.turn().unwrap().to_string();
        assert_eq!(
            more,
            "1091 more connections were refused within 60 seconds, from 2 addresses, 1090 of them \
             from 192.0.2.7"
        );
        assert_eq!(window.turn(), None);
        assert!(window.note(origin(7)), "the next window begins anew");
    }

    #[test]
    fn a_flood_from_everywhere_is_counted_in_bounded_memory() {
        let mut window = Window::default();
        for n in 0..100_000u32 {
            window.note(Origin::of(IpAddr::from(n.to_be_bytes())));
        }
        assert_eq!(window.by_origin.len(), MOST_ORIGINS);
        let more = window.turn().unwrap().to_string();
        assert!(more.starts_with("99990 more"), "{more}");
        assert!(more.contains("at least 1024"), "{more}");
    }
}
