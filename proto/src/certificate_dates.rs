//! From when until when TLS certificates are good, and when to say that they end.

use std::time::Duration;

use x509_cert::Certificate;
use x509_cert::der::{DateTime, Decode as _};
use x509_cert::time::Time;

const DAY: i64 = 24 * 60 * 60;
/// So many days before a certificate's end its operator is told; from the last on, every day.
const REMINDERS: [i64; 3] = [30, 14, 7];

/// From when until when a certificate is good, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateDates {
    from: i64,
    until: i64,
}

/// Bytes that are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its certificate can't be read: {0}")]
pub struct InvalidCertificate(String);

/// How a certificate stands on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It isn't good yet.
    NotYet,
    /// It is good for so many whole days more.
    Good {
        /// Whole days that are left.
        days: i64,
    },
    /// It ended.
    Ended,
}

impl CertificateDates {
    /// The dates of a certificate (DER).
    ///
    /// # Errors
    /// [`InvalidCertificate`] for what is none.
    pub fn of(certificate: &[u8]) -> Result<Self, InvalidCertificate> {
        let certificate =
            Certificate::from_der(certificate).map_err(|e| InvalidCertificate(e.to_string()))?;
        let validity = certificate.tbs_certificate.validity;
        let seconds =
            |time: Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        Ok(Self {
            from: seconds(validity.not_before),
            until: seconds(validity.not_after),
        })
    }

    /// When a chain of certificates is good: while each of them is.
    pub fn of_chain(chain: &[Self]) -> Option<Self> {
        let first = *chain.first()?;
        Some(chain.iter().fold(first, |all, one| Self {
            from: all.from.max(one.from),
            until: all.until.min(one.until),
        }))
    }

    /// The one among several authorities that is good for longest.
    pub fn longest(authorities: &[Self]) -> Option<Self> {
        authorities.iter().copied().max_by_key(|one| one.until)
    }

    /// How it stands at this time.
    pub fn standing(&self, unix_seconds: u64) -> Standing {
        let now = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
        if now < self.from {
            Standing::NotYet
        } else if now > self.until {
            Standing::Ended
        } else {
            let days = self.until.saturating_sub(now) / DAY;
            Standing::Good { days }
        }
    }

    /// Its first day, such as `2026-01-31`.
    pub fn first_day(&self) -> String {
        day(self.from)
    }

    /// Its last day.
    pub fn last_day(&self) -> String {
        day(self.until)
    }
}

impl Standing {
    /// Whether its operator is to be told now, who was told last when it stood so.
    pub fn is_worth_saying(self, told: Option<Self>) -> bool {
        let Self::Good { days } = self else {
            return told != Some(self);
        };
        let step = |days: i64| {
            REMINDERS
                .iter()
                .filter(|reminder| days <= **reminder)
                .count()
        };
        match told {
            Some(Self::Good { days: before }) if step(days) == REMINDERS.len() => days != before,
            Some(Self::Good { days: before }) => step(days) > step(before),
            _ => step(days) > 0,
        }
    }
}

/// A day in UTC.
fn day(unix_seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0));
    match DateTime::from_unix_duration(since) {
        Ok(at) => format!("{:04}-{:02}-{:02}", at.year(), at.month(), at.day()),
        Err(_) => format!("{unix_seconds} seconds after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(days: i64) -> Standing {
        Standing::Good { days }
    }

    #[test]
    fn a_certificate_is_good_from_its_first_second_to_its_last() {
        let dates = CertificateDates {
            from: 1_000,
            until: 1_000 + 3 * DAY,
        };
        assert_eq!(dates.standing(999), Standing::NotYet);
        assert_eq!(dates.standing(1_000), good(3));
        assert_eq!(dates.standing(1_001), good(2));
        assert_eq!(dates.standing(1_000 + 3 * 86_400), good(0));
        assert_eq!(dates.standing(1_001 + 3 * 86_400), Standing::Ended);
        assert_eq!(dates.standing(u64::MAX), Standing::Ended);
        assert_eq!(dates.first_day(), "1970-01-01");
        assert_eq!(dates.last_day(), "1970-01-04");
    }

    #[test]
    fn a_chain_is_as_good_as_its_weakest_and_authorities_as_their_strongest() {
        let of = |from, until| CertificateDates { from, until };
        let some = [of(0, 10), of(5, 7), of(2, 20)];
        assert_eq!(CertificateDates::of_chain(&some), Some(of(5, 7)));
        assert_eq!(CertificateDates::longest(&some), Some(of(2, 20)));
        assert_eq!(CertificateDates::of_chain(&[]), None);
    }

    #[test]
    fn an_end_is_told_thirty_fourteen_and_seven_days_before_and_then_daily() {
        let mut told = None;
        let mut said = Vec::new();
        for days in (0..=40).rev() {
            if good(days).is_worth_saying(told) {
                said.push(days);
                told = Some(good(days));
            }
        }
        assert_eq!(said, [30, 14, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert!(Standing::Ended.is_worth_saying(told));
        assert!(!Standing::Ended.is_worth_saying(Some(Standing::Ended)));
        // A machine that slept.
        assert!(good(10).is_worth_saying(Some(good(40))));
        assert!(good(10).is_worth_saying(Some(good(29))));
        assert!(!good(9).is_worth_saying(Some(good(10))));
        assert!(!good(31).is_worth_saying(None));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for bytes in [&b""[..], b"x", &[0x30, 0x82, 0xff, 0xff], &[0x30; 1000]] {
            assert!(CertificateDates::of(bytes).is_err(), "{bytes:?}");
        }
    }
}
