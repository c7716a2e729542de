//! Appends events to a file, one a line, and begins a new file when it is full.
//!
//! A file that was moved away is created again. A line that an earlier run could not finish is ended, so that every later
//! line is whole. Nothing is synced, to reduce wear of the SD card: a power cut loses the last events.
//!
//! Does not: keep an event that cannot be written; it is dropped and the failure logged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::sinks::Sink;
use crate::events::io::Subscription;
use crate::events::rotation::renames;
use crate::events::{Event, FileOptions};
use resilience::log_throttle::ThrottledLog;

/// The file of events.
#[derive(Debug)]
pub(super) struct EventFile {
    options: FileOptions,
    open: Option<Open>,
    failures: ThrottledLog,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// The device and inode.
    identity: (u64, u64),
    bytes: u64,
}

impl EventFile {
    pub(super) fn new(options: FileOptions) -> Self {
        let recovered = format!("{}: events are written again", options.path.display());
        let failures = ThrottledLog::new(module_path!(), recovered);
        Self { options, open: None, failures }
    }

    fn try_write(&mut self, line: &str) -> io::Result<()> {
        let mut open = match self.open.take().filter(|open| self.is_in_place(open)) {
            Some(open) => open,
            None => self.open()?,
        };
        let length = line.len() as u64;
        if open.bytes > 0 && open.bytes + length > self.options.bytes {
            self.rotate()?;
            open = self.open()?;
        }
        open.file.write_all(line.as_bytes())?;
        open.bytes += length;
        self.open = Some(open);
        Ok(())
    }

    /// Whether the file still has its name.
    fn is_in_place(&self, open: &Open) -> bool {
        fs::metadata(&self.options.path).is_ok_and(|found| identity(&found) == open.identity)
    }

    fn open(&self) -> io::Result<Open> {
        let path = &self.options.path;
        // A named pipe would block, and a device is not to be written.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("it is not a file"));
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let found = file.metadata()?;
        let mut bytes = found.len();
        if bytes > 0 {
            let (mut first, mut last) = ([0], [0]);
            file.read_exact(&mut first)?;
            if first != *b"{" {
                return Err(io::Error::other("it does not contain events"));
            }
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                bytes += 1;
            }
        }
        Ok(Open { file, identity: identity(&found), bytes })
    }

    fn rotate(&self) -> io::Result<()> {
        if self.options.older == 0 {
            return fs::remove_file(&self.options.path);
        }
        for (from, to) in renames(&self.options.path, self.options.older) {
            match fs::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Sink for EventFile {
    fn write(&mut self, event: &Event, _subscription: &Subscription) -> bool {
        let now = Instant::now();
        match self.try_write(&format!("{}\n", event.line())) {
            Ok(()) => drop(self.failures.on_success(now)),
            Err(error) => {
                let path = self.options.path.display();
                self.failures.on_failure(&format!("{path}: events are lost: {error}"), now);
            }
        }
        true
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;
    use crate::events::{Bus, Kind, Types};

    /// A directory that is removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("events-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        /// A sink with room for `lines` lines a file.
        fn sink(&self, lines: u64, older: u32) -> EventFile {
            let (path, types) = (self.path("e"), Types::all());
            let bytes = lines * line(0).len() as u64;
            EventFile::new(FileOptions { path, bytes, older, types })
        }

        /// The numbers in the file of this name.
        fn numbers(&self, name: &str) -> Vec<u64> {
            let text = fs::read_to_string(self.path(name)).unwrap_or_default();
            let number = |line: &str| {
                let event: Option<serde_json::Value> = serde_json::from_str(line).ok();
                event.map_or(99, |event| event["paid_for_s"].as_u64().unwrap())
            };
            text.lines().map(number).collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn kind(number: u64) -> Kind {
        Kind::PaymentTrouble { reason: "x".to_owned(), paid_for_s: Some(number) }
    }

    fn line(number: u64) -> String {
        let event = Event::new(kind(number), 0, "i", std::time::Duration::ZERO);
        format!("{}\n", event.line())
    }

    fn write(sink: &mut EventFile, numbers: impl IntoIterator<Item = u64>) {
        let subscription = Bus::default().subscribe();
        for number in numbers {
            let event = Event::new(kind(number), 0, "i", std::time::Duration::ZERO);
            assert!(sink.write(&event, &subscription));
        }
    }

    #[test]
    fn a_full_file_is_renamed_and_the_oldest_goes() {
        let place = Scratch::new("full");
        write(&mut place.sink(2, 2), 0..7);
        assert_eq!((place.numbers("e"), place.numbers("e.1")), (vec![6], vec![4, 5]));
        assert_eq!((place.numbers("e.2"), place.path("e.3").exists()), (vec![2, 3], false));
        let place = Scratch::new("single");
        write(&mut place.sink(2, 0), 0..3);
        assert_eq!((place.numbers("e"), place.path("e.1").exists()), (vec![2], false));
    }

    #[test]
    fn a_run_appends_to_the_file_of_the_run_before_and_ends_its_torn_line() {
        let place = Scratch::new("torn");
        write(&mut place.sink(9, 1), 0..1);
        let torn = [&line(0), &line(1)[..20]].concat();
        fs::write(place.path("e"), torn).unwrap();
        write(&mut place.sink(9, 1), 2..4);
        assert_eq!(place.numbers("e"), [0, 99, 2, 3]);
    }

    #[test]
    fn a_kill_in_the_middle_of_a_rotation_loses_no_event() {
        let place = Scratch::new("kill");
        write(&mut place.sink(1, 3), 0..3);
        // Killed after the first renames: `e.1` is free, `e` is still full.
        fs::rename(place.path("e.2"), place.path("e.3")).unwrap();
        fs::rename(place.path("e.1"), place.path("e.2")).unwrap();
        write(&mut place.sink(1, 3), 3..4);
        let found: Vec<u64> =
            ["e.3", "e.2", "e.1", "e"].iter().flat_map(|n| place.numbers(n)).collect();
        assert_eq!(found, [1, 2, 3], "and 0 was the oldest");
    }

    #[test]
    fn a_file_that_was_moved_away_is_created_again() {
        let place = Scratch::new("moved");
        let mut sink = place.sink(9, 1);
        write(&mut sink, 0..2);
        fs::rename(place.path("e"), place.path("old")).unwrap();
        write(&mut sink, 2..3);
        assert_eq!((place.numbers("old"), place.numbers("e")), (vec![0, 1], vec![2]));
    }

    #[test]
    fn an_event_that_cannot_be_written_is_lost_and_a_foreign_file_is_left_alone() {
        let place = Scratch::new("lost");
        let mut sink = place.sink(9, 1);
        symlink("/dev/full", place.path("e")).unwrap();
        write(&mut sink, 0..2);
        assert!(sink.failures.is_failing());
        fs::remove_file(place.path("e")).unwrap();
        write(&mut sink, 2..3);
        assert!(!sink.failures.is_failing());
        assert_eq!(place.numbers("e"), [2]);

        fs::write(place.path("e"), "[source]\n").unwrap();
        let mut sink = place.sink(1, 1);
        write(&mut sink, 0..3);
        assert!(sink.failures.is_failing());
        assert_eq!(fs::read(place.path("e")).unwrap(), b"[source]\n");
        fs::remove_file(place.path("e")).unwrap();
        fs::create_dir(place.path("e")).unwrap();
        write(&mut sink, 0..1);
        assert!(sink.failures.is_failing());
    }
}
