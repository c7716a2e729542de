//! Decides the names and the order of the files of stored input, and which files to remove.
//!
//! Each file is one segment: `input-00000042-20261121T080312Z-2000ms.ts`. The number gives the order, because the clock
//! may be wrong; the time is the segment's start by the clock, in UTC; the length is the duration of its pictures. So
//! files of earlier runs count like new ones, and pauses of the camera do not count.
//!
//! Does not: touch files; `io::store` does.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::STORE_FILES;

/// Name of the file that is being written. It does not count as a [`Stored`] file; the next segment overwrites it.
pub(crate) const PART: &str = "input.part";

/// Options of storing input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The directory. It must not be used for other files.
    pub directory: PathBuf,
    /// The duration of input to keep. At most one segment more is kept.
    pub keep: Duration,
    /// Maximum size in bytes, without the file that is being written.
    pub bytes: u64,
}

/// One stored segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Increases with each segment.
    pub number: u64,
    /// Start time in UTC, as the digits `YYYYMMDDhhmmss`.
    pub(crate) began: u64,
    /// Duration of the segment's pictures, in ms.
    pub length: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
}

impl Stored {
    /// The name of the file.
    pub(crate) fn name(&self) -> String {
        let Self { number, began, length, .. } = self;
        let (day, time) = (began / 1_000_000, began % 1_000_000);
        format!("input-{number:08}-{day:08}T{time:06}Z-{length}ms.ts")
    }

    /// Parses a file name; `None` for a file that this program did not write.
    pub fn read(name: &str, bytes: u64) -> Option<Self> {
        let mut parts = name.strip_prefix("input-")?.strip_suffix("ms.ts")?.split('-');
        let (number, began, length) = (parts.next()?, parts.next()?, parts.next()?);
        let (day, time) = began.strip_suffix('Z')?.split_once('T')?;
        let began =
            day.parse::<u32>().ok().map(u64::from)? * 1_000_000 + time.parse::<u64>().ok()?;
        let length = length.parse::<u32>().ok()?.into();
        let stored = Self { number: number.parse().ok()?, began, length, bytes };
        (stored.name() == name).then_some(stored)
    }
}

/// The stored files, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    files: VecDeque<Stored>,
    /// Total length in ms.
    length: u64,
    bytes: u64,
    next: u64,
    /// In ms.
    keep: u64,
    most: u64,
}

impl Ring {
    /// The files `found` in the directory of `store`, in any order.
    pub(crate) fn new(store: &Store, mut found: Vec<Stored>) -> Self {
        found.sort_unstable_by_key(|file| file.number);
        let keep = u64::try_from(store.keep.as_millis()).unwrap_or(u64::MAX);
        let files = VecDeque::new();
        let mut ring = Self { files, length: 0, bytes: 0, next: 1, keep, most: store.bytes };
        found.into_iter().for_each(|file| ring.push(file));
        ring
    }

    /// The number of the next file.
    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    /// The number of files.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Adds a file.
    pub(crate) fn push(&mut self, file: Stored) {
        self.length = self.length.saturating_add(file.length);
        self.bytes = self.bytes.saturating_add(file.bytes);
        self.next = self.next.max(file.number.saturating_add(1));
        self.files.push_back(file);
    }

    /// Takes the next file to remove, if the other files already have the duration to keep or a limit is exceeded. Call
    /// it until it returns `None`, and remove each file.
    #[must_use]
    pub(crate) fn pop(&mut self) -> Option<Stored> {
        let oldest = *self.files.front()?;
        let is_enough = self.length.saturating_sub(oldest.length) >= self.keep;
        if !is_enough && self.bytes <= self.most && self.files.len() <= STORE_FILES {
            return None;
        }
        self.length = self.length.saturating_sub(oldest.length);
        self.bytes = self.bytes.saturating_sub(oldest.bytes);
        self.files.pop_front()
    }
}

/// Advice for a failure to store input.
pub(crate) fn advice(kind: ErrorKind) -> &'static str {
    let row = ADVICE.iter().find(|(kinds, _)| kinds.contains(&kind));
    row.map_or("check its disk, or name another one in store.directory", |(_, advice)| *advice)
}

const ADVICE: &[(&[ErrorKind], &str)] = &[
    (
        &[ErrorKind::StorageFull, ErrorKind::QuotaExceeded],
        "make room there, or lower store.max-size",
    ),
    (&[ErrorKind::NotFound], "mount its disk, or make the directory above it"),
    (&[ErrorKind::NotADirectory], "name a directory in store.directory"),
    (
        &[ErrorKind::ReadOnlyFilesystem],
        "mount it for writing, or name it in ReadWritePaths= of the service",
    ),
    (&[ErrorKind::PermissionDenied], "let the agent's user write there"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u64, length: u64, bytes: u64) -> Stored {
        Stored { number, began: 20_261_121_080_312, length, bytes }
    }

    #[test]
    fn a_name_is_parsed_as_written() {
        let stored = file(42, 2000, 7);
        assert_eq!(stored.name(), "input-00000042-20261121T080312Z-2000ms.ts");
        let early = Stored { began: 19_700_101_000_000, ..file(123_456_789, 0, 7) };
        assert_eq!(early.name(), "input-123456789-19700101T000000Z-0ms.ts");
        for stored in [stored, early, file(u64::MAX, u64::from(u32::MAX), 7)] {
            assert_eq!(Stored::read(&stored.name(), 7), Some(stored));
        }
    }

    #[test]
    fn foreign_files_are_not_part_of_the_store() {
        for name in [
            "",
            PART,
            "holiday.ts",
            "input-.ts",
            "input-42-20261121T080312Z-2000ms.ts",
            "input-00000042-20261121T080312-2000ms.ts",
            "input-00000042-20261121T080312Z-2000ms.ts.part",
            "input-00000042-20261121T080312Z-2000ms-1.ts",
            "input-00000042-20261121T080312Z-02000ms.ts",
            "input-00000042-20261121T+80312Z-2000ms.ts",
            "input-99999999999999999999-20261121T080312Z-2000ms.ts",
            "input-00000042-99999999999999999999T080312Z-2000ms.ts",
            "Input-00000042-20261121T080312Z-2000ms.ts",
        ] {
            assert_eq!(Stored::read(name, 7), None, "{name}");
        }
    }

    /// Adds files of these durations (ms) and sizes to those found. Returns the numbers of the files to remove.
    #[track_caller]
    fn check(keep_s: u64, most: u64, found: &[Stored], added: &[(u64, u64)], expected: &[u64]) {
        let store = Store { directory: "d".into(), keep: Duration::from_secs(keep_s), bytes: most };
        let mut ring = Ring::new(&store, found.to_vec());
        let mut gone = Vec::new();
        let mut drain = |ring: &mut Ring| {
            gone.extend(std::iter::from_fn(|| ring.pop()).map(|file| file.number));
        };
        drain(&mut ring);
        for (length, bytes) in added {
            ring.push(file(ring.next_number(), *length, *bytes));
            drain(&mut ring);
        }
        assert_eq!(gone, expected);
        let length: u64 = ring.files.iter().map(|file| file.length).sum();
        let bytes: u64 = ring.files.iter().map(|file| file.bytes).sum();
        assert_eq!((ring.length, ring.bytes), (length, bytes));
        assert!(ring.bytes <= most);
    }

    #[test]
    fn the_duration_to_keep_is_kept() {
        check(6, 999, &[], &[(2000, 1); 3], &[]);
        check(6, 999, &[], &[(2000, 1); 6], &[1, 2, 3]);
        // To keep five seconds, three files of two seconds are needed.
        check(5, 999, &[], &[(2000, 1); 6], &[1, 2, 3]);
        // Files of no duration do not delay the removal of others.
        check(2, 999, &[], &[(0, 1), (2000, 1), (0, 1)], &[1]);
    }

    #[test]
    fn the_size_limit_is_kept() {
        check(600, 10, &[], &[(2000, 4), (2000, 4), (2000, 4), (2000, 10)], &[1, 2, 3]);
        check(600, 10, &[], &[(2000, 11)], &[1]);
    }

    #[test]
    fn files_of_an_earlier_run_are_removed_first_in_order() {
        let found = [file(30, 2000, 1), file(7, 2000, 1), file(9, 2000, 1)];
        check(6, 999, &found, &[], &[]);
        check(6, 999, &found, &[(2000, 1); 4], &[7, 9, 30, 31]);
        check(2, 999, &found, &[], &[7, 9]);
        check(600, 2, &found, &[], &[7]);
        let last = [file(u64::MAX, 1, 1)];
        assert_eq!(Ring::new(&store(), last.to_vec()).next_number(), u64::MAX);
        assert_eq!(Ring::new(&store(), found.to_vec()).next_number(), 31);
    }

    #[test]
    fn the_number_of_files_is_bounded() {
        let mut ring = Ring::new(&store(), Vec::new());
        for _ in 0..STORE_FILES {
            ring.push(file(ring.next_number(), 0, 0));
        }
        assert_eq!(ring.pop(), None);
        ring.push(file(ring.next_number(), 0, 0));
        assert_eq!(ring.pop().map(|file| file.number), Some(1));
        assert_eq!((ring.pop(), ring.len()), (None, STORE_FILES));
    }

    fn store() -> Store {
        Store { directory: "d".into(), keep: Duration::from_secs(60), bytes: u64::MAX }
    }
}
