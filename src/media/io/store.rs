//! Writes segments into the directory of a store, each as a file that is renamed to its final name when it is complete,
//! and removes the oldest files.
//!
//! While a segment cannot be written, only the stored input of that time is lost. The failure is logged once, and the
//! directory is opened again after growing pauses. Its contents are then read again, because another disk may be
//! mounted there. Files are not synced, to reduce wear of the SD card: a power cut loses the last seconds.
//!
//! Does not: interpret a segment's contents, or decide where a segment begins.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::MediaError;
use crate::limits::STORE_FILES;
use crate::store::{PART, Ring, Store, Stored};
use mpegts::Ticks;
use resilience::backoff::Backoff;
use resilience::log_throttle::ThrottledLog;
use resilience::utc::digits;

/// The largest file; a 2 s segment at 40 Mbit/s is 10 MB.
const FILE_BYTES: u64 = 64 << 20;

/// The pauses after a failure. They grow, because a disk that is full or removed usually stays so.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The size of one write to the disk: a tenth of a second at 5 Mbit/s.
const WRITE: usize = 64 << 10;

/// The directory of a store.
#[derive(Debug)]
pub(super) struct Directory {
    store: Store,
    state: DirectoryState,
    pauses: Backoff,
    failures: ThrottledLog,
    was_open: bool,
}

#[derive(Debug)]
enum DirectoryState {
    /// Not opened yet, or not to be opened again before `until`.
    Closed {
        until: Option<Instant>,
    },
    /// Opened, between two segments.
    Open(Ring),
    Writing(Ring, SegmentFile),
}

/// The segment that is being written.
#[derive(Debug)]
struct SegmentFile {
    file: BufWriter<File>,
    /// When the segment began by the system clock, as the digits `YYYYMMDDhhmmss`.
    began: u64,
    bytes: u64,
    first: Ticks,
    last: Ticks,
    /// The time between the last two pictures.
    step: Duration,
}

impl SegmentFile {
    /// How long its pictures last, in ms.
    fn length(&self) -> u64 {
        let length = self.last.duration_since(self.first).unwrap_or_default() + self.step;
        u64::from(u32::try_from(length.as_millis()).unwrap_or(u32::MAX))
    }
}

impl Directory {
    /// The directory of `store`. It is opened or created when the first segment begins.
    pub(super) fn new(store: Store) -> Self {
        let recovered = format!("input is stored in {} again", store.directory.display());
        Self {
            store,
            state: DirectoryState::Closed { until: None },
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            failures: ThrottledLog::new(module_path!(), recovered).without_reminders(),
            was_open: false,
        }
    }

    /// Whether a segment is being written; if not, `write` has no effect.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self.state, DirectoryState::Writing(..))
    }

    /// Completes the current segment and begins one, whose first picture has this DTS. Call `write` with that picture
    /// next.
    pub(super) fn begin(&mut self, at: Ticks) {
        self.finish();
        let ring = match std::mem::replace(&mut self.state, DirectoryState::Closed { until: None })
        {
            DirectoryState::Open(ring) | DirectoryState::Writing(ring, _) => Ok(ring),
            DirectoryState::Closed { until: Some(until) } if Instant::now() < until => {
                self.state = DirectoryState::Closed { until: Some(until) };
                return;
            }
            DirectoryState::Closed { .. } => self.open(),
        };
        let part = ring.and_then(|ring| {
            let file = File::create(self.store.directory.join(PART))?;
            let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let part = SegmentFile {
                file: BufWriter::with_capacity(WRITE, file),
                began: digits(clock.as_secs()),
                bytes: 0,
                first: at,
                last: at,
                step: Duration::ZERO,
            };
            Ok((ring, part))
        });
        match part {
            Ok((ring, part)) => self.state = DirectoryState::Writing(ring, part),
            Err(error) => self.on_failure(&error),
        }
    }

    /// Adds a picture with this DTS to the current segment.
    pub(super) fn write(&mut self, bytes: &[u8], at: Ticks) {
        let DirectoryState::Writing(_, part) = &mut self.state else { return };
        // End a segment that grows too large, for example when a camera sends no more key frames.
        if part.bytes + bytes.len() as u64 > FILE_BYTES.min(self.store.bytes) {
            return self.finish();
        }
        part.bytes += bytes.len() as u64;
        part.step = at.duration_since(part.last).unwrap_or_default();
        part.last = at;
        if let Err(error) = part.file.write_all(bytes) {
            self.on_failure(&error);
        }
    }

    /// Completes the current segment, if there is one.
    pub(super) fn finish(&mut self) {
        match std::mem::replace(&mut self.state, DirectoryState::Closed { until: None }) {
            DirectoryState::Writing(ring, part) => match self.keep(ring, part) {
                Ok(ring) => {
                    self.state = DirectoryState::Open(ring);
                    self.on_success();
                }
                Err(error) => self.on_failure(&error),
            },
            state @ (DirectoryState::Closed { .. } | DirectoryState::Open(_)) => self.state = state,
        }
    }

    /// Opens the directory and reads its contents. Creates only the last directory of the path: if a parent is missing,
    /// its disk is probably not mounted.
    fn open(&mut self) -> io::Result<Ring> {
        let directory = &self.store.directory;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let stored = entry.file_name().to_str().and_then(|name| Stored::read(name, 0));
            if let Some(stored) = stored.filter(|_| found.len() < 2 * STORE_FILES) {
                found.push(Stored { bytes: entry.metadata()?.len(), ..stored });
            }
        }
        let mut ring = Ring::new(&self.store, found);
        self.remove_excess(&mut ring)?;
        if !std::mem::replace(&mut self.was_open, true) {
            let count = ring.len();
            log::info!("input is stored in {}, where {count} files are", directory.display());
        }
        Ok(ring)
    }

    fn keep(&self, mut ring: Ring, part: SegmentFile) -> io::Result<Ring> {
        let directory = &self.store.directory;
        let (began, length, bytes) = (part.began, part.length(), part.bytes);
        part.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let stored = Stored { number: ring.next_number(), began, length, bytes };
        let name = stored.name();
        fs::rename(directory.join(PART), directory.join(&name))?;
        log::debug!("{name}: {bytes} bytes of input");
        ring.push(stored);
        self.remove_excess(&mut ring)?;
        Ok(ring)
    }

    fn remove_excess(&self, ring: &mut Ring) -> io::Result<()> {
        while let Some(old) = ring.pop() {
            match fs::remove_file(self.store.directory.join(old.name())) {
                // A file that was already removed is not a failure.
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn on_success(&mut self) {
        self.pauses.on_success();
        self.failures.on_success(Instant::now());
    }

    fn on_failure(&mut self, error: &io::Error) {
        let now = Instant::now();
        // Use no jitter, because each device has its own disk.
        self.state = DirectoryState::Closed { until: Some(now + self.pauses.on_failure(1.0)) };
        // Remove the incomplete file, whose space may be needed.
        let _ = fs::remove_file(self.store.directory.join(PART));
        let error = MediaError::Store {
            directory: self.store.directory.clone(),
            kind: error.kind(),
            detail: error.to_string(),
        };
        self.failures.on_failure(&error.to_string(), now);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// A temporary directory, removed when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("store-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// A store of 3 s and 1 kB in this directory.
        fn store(&self, name: &str) -> Directory {
            let (directory, keep) = (self.0.join(name), Duration::from_secs(3));
            Directory::new(Store { directory, keep, bytes: 1000 })
        }

        /// Numbers, lengths and sizes of the store's files, and the names of other files in the directory.
        fn files(&self, name: &str) -> (Vec<(u64, u64, u64)>, Vec<String>) {
            let (mut files, mut others) = (Vec::new(), Vec::new());
            for entry in fs::read_dir(self.0.join(name)).unwrap().map(Result::unwrap) {
                let name = entry.file_name().into_string().unwrap();
                match Stored::read(&name, entry.metadata().unwrap().len()) {
                    Some(file) => files.push((file.number, file.length, file.bytes)),
                    None => others.push(name),
                }
            }
            files.sort_unstable();
            others.sort();
            (files, others)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn at(ms: u64) -> Ticks {
        Ticks::from_duration(Duration::from_millis(ms))
    }

    /// A segment of 1 s in two pictures, the first of which begins it.
    fn write(directory: &mut Directory, second: u64, picture: &[u8]) {
        for (n, ms) in [second * 1000, second * 1000 + 500].into_iter().enumerate() {
            if n == 0 {
                directory.begin(at(ms));
            }
            directory.write(picture, at(ms));
        }
    }

    /// Ends the pause that follows a failure.
    fn wait(directory: &mut Directory) {
        assert!(matches!(directory.state, DirectoryState::Closed { until: Some(_) }));
        directory.state = DirectoryState::Closed { until: Some(Instant::now()) };
    }

    #[test]
    fn complete_segments_are_kept_and_the_oldest_removed() {
        let scratch = Scratch::new("ring");
        let mut directory = scratch.store("made");
        write(&mut directory, 0, b"ab");
        assert_eq!(scratch.files("made"), (vec![], vec![PART.to_owned()]));
        (1..6).for_each(|second| write(&mut directory, second, b"abc"));
        let complete = vec![(3, 1000, 6), (4, 1000, 6), (5, 1000, 6)];
        assert_eq!(scratch.files("made"), (complete, vec![PART.to_owned()]));
        directory.finish();
        let complete = vec![(4, 1000, 6), (5, 1000, 6), (6, 1000, 6)];
        assert_eq!(scratch.files("made"), (complete, vec![]));
        directory.finish();
        assert_eq!(scratch.files("made").0.len(), 3, "no segment is open");
    }

    #[test]
    fn numbers_continue_after_a_restart_and_foreign_files_are_kept() {
        let scratch = Scratch::new("runs");
        let mut first = scratch.store("");
        (0..2).for_each(|second| write(&mut first, second, b"ab"));
        // As if the process were killed here: an incomplete file is left.
        drop(first);
        fs::write(scratch.0.join("holiday.ts"), "sun").unwrap();
        fs::write(scratch.0.join("input-1.ts"), "mine").unwrap();
        let mut second = scratch.store("");
        (0..5).for_each(|second_of| write(&mut second, second_of, b"abc"));
        second.finish();
        let others = vec!["holiday.ts".to_owned(), "input-1.ts".to_owned()];
        let files = vec![(4, 1000, 6), (5, 1000, 6), (6, 1000, 6)];
        assert_eq!(scratch.files(""), (files, others));
    }

    #[test]
    fn a_single_segment_does_not_exceed_the_size_limit() {
        let scratch = Scratch::new("bytes");
        let mut directory = scratch.store("");
        (0..2).for_each(|second| write(&mut directory, second, &[0; 300]));
        // No key frame for a long time.
        (2..9).for_each(|second| directory.write(&[0; 300], at(second * 1000)));
        assert!(!directory.is_writing());
        assert_eq!(scratch.files(""), (vec![(2, 1500, 900)], vec![]));
    }

    #[test]
    fn on_a_full_disk_only_the_input_of_that_time_is_lost() {
        let scratch = Scratch::new("full");
        let mut directory = scratch.store("");
        symlink("/dev/full", scratch.0.join(PART)).unwrap();
        write(&mut directory, 0, &[0; 100]);
        assert!(directory.is_writing(), "the bytes are still in the write buffer");
        write(&mut directory, 1, b"ab");
        assert!(!directory.is_writing());
        assert_eq!(scratch.files(""), (vec![], vec![]));
        write(&mut directory, 2, b"ab");
        assert!(!directory.is_writing(), "the pause is not over");
        wait(&mut directory);
        write(&mut directory, 3, b"ab");
        directory.finish();
        assert_eq!(scratch.files(""), (vec![(1, 1000, 4)], vec![]));
    }

    #[test]
    fn a_disk_is_used_once_it_is_mounted() {
        let scratch = Scratch::new("mount");
        let mut directory = scratch.store("usb/input");
        write(&mut directory, 0, b"ab");
        assert!(!directory.is_writing() && !scratch.0.join("usb").exists());
        fs::create_dir(scratch.0.join("usb")).unwrap();
        wait(&mut directory);
        write(&mut directory, 1, b"ab");
        directory.finish();
        assert_eq!(scratch.files("usb/input").0.len(), 1);
        // The disk is pulled out.
        fs::remove_dir_all(scratch.0.join("usb")).unwrap();
        write(&mut directory, 2, b"ab");
        assert!(!directory.is_writing());
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_a_failure() {
        let scratch = Scratch::new("file");
        fs::write(scratch.0.join("file"), "mine").unwrap();
        let mut directory = scratch.store("file");
        write(&mut directory, 0, b"ab");
        assert!(!directory.is_writing());
        assert_eq!(fs::read(scratch.0.join("file")).unwrap(), b"mine");
    }
}
