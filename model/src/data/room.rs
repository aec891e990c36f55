//! How much may come out of a file. Compressed formats can hold gigabytes in a few bytes, made so
//! on purpose; whoever reads a table must not run out of memory for that.

use std::path::Path;

use super::error::DataError;

/// Bytes that any file may give, however small it is.
const ALWAYS: u64 = 64 << 20;
/// How many times its own size a larger file may give. Text is rarely packed to a tenth.
const TIMES: u64 = 200;
/// Bytes that no file may exceed.
const NEVER_MORE: u64 = 16 << 30;

/// The bytes that may still come out of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    limit: u64,
    left: u64,
}

impl Room {
    /// The room for a file of so many bytes on disk.
    pub(super) fn of_file(bytes: u64) -> Self {
        let limit = bytes
            .saturating_mul(TIMES)
            .clamp(ALWAYS, NEVER_MORE.max(bytes));
        Self { limit, left: limit }
    }

    /// What is left, in bytes.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Takes some of it.
    ///
    /// # Errors
    /// [`DataError::TooLarge`] where there isn't that much left.
    pub(super) fn take(&mut self, bytes: usize, file: &Path) -> Result<(), DataError> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or_else(|| self.exceeded(file))?;
        Ok(())
    }

    /// The error for a file that gives more.
    pub(super) fn exceeded(&self, file: &Path) -> DataError {
        DataError::TooLarge {
            file: file.to_owned(),
            limit: self.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_give_a_multiple_of_itself_and_a_small_one_some_megabytes() {
        assert_eq!(Room::of_file(10).left(), ALWAYS);
        assert_eq!(Room::of_file(1 << 20).left(), 200 << 20);
        assert_eq!(Room::of_file(u64::MAX).left(), u64::MAX);
        let mut room = Room::of_file(0);
        assert!(room.take(ALWAYS as usize, Path::new("a")).is_ok());
        assert!(matches!(
            room.take(1, Path::new("a")),
            Err(DataError::TooLarge { limit: ALWAYS, .. })
        ));
    }
}
