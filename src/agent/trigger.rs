//! Reads the file of `job.trigger`, with which a script or a switch asks for a job.
//!
//! | the file | a job is asked for |
//! |---|---|
//! | contains `1` or `on` | as long as it does |
//! | is absent, no plain file, or contains `0` or `off` | no |
//! | contains anything else, or nothing | for the linger time after each change of its modification time |
//!
//! A change is noticed by comparing two readings, so that a wrong clock does no harm: a touch before the start of the
//! agent does not count. The file is read once a second, in a task: a directory on the network may hang.
//!
//! Does not: decide whether a job is wanted; `Wanted` does.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::task::{JoinSet, spawn_blocking};

use crate::agent::wait::joined;

/// The time between two readings.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest content that is read: longer ones are none of the known words.
const CONTENT_BYTES: u64 = 16;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TriggerReading {
    /// A job is asked for as long as the file says so.
    On,
    /// No job is asked for.
    Off,
    /// The file was last touched at this time of the file system.
    Touched(Option<SystemTime>),
}

/// Watches the file.
#[derive(Debug, Default)]
pub(super) struct Trigger {
    path: Option<PathBuf>,
    /// The reading in progress or scheduled; one at most.
    readings: JoinSet<TriggerReading>,
}

impl Trigger {
    /// Watches the file at `path`, if there is one; the first reading comes at once.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        let mut trigger = Self { path, readings: JoinSet::new() };
        trigger.read_after(Duration::ZERO);
        trigger
    }

    /// Waits for the next reading; forever without a file. Cancel safe.
    pub(super) async fn next(&mut self) -> TriggerReading {
        // A reading fails only if its thread panics.
        let reading = joined(&mut self.readings).await.unwrap_or(TriggerReading::Off);
        self.read_after(INTERVAL);
        reading
    }

    fn read_after(&mut self, time: Duration) {
        if let Some(path) = self.path.clone() {
            self.readings.spawn(async move {
                tokio::time::sleep(time).await;
                spawn_blocking(move || read(&path)).await.unwrap_or(TriggerReading::Off)
            });
        }
    }
}

fn read(path: &Path) -> TriggerReading {
    // Opening another kind of file may wait.
    let Some(facts) = fs::metadata(path).ok().filter(fs::Metadata::is_file) else {
        return TriggerReading::Off;
    };
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(CONTENT_BYTES).read_to_end(&mut content));
    match (read, content.trim_ascii()) {
        (Ok(_), b"1" | b"on") => TriggerReading::On,
        (Ok(_), b"0" | b"off") => TriggerReading::Off,
        // A touch counts without the right to read the file.
        (Ok(_) | Err(_), _) => TriggerReading::Touched(facts.modified().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_the_file_decides() {
        let directory = std::env::temp_dir().join(format!("trigger-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("trigger");
        assert_eq!(read(&path), TriggerReading::Off, "it is absent");
        assert_eq!(read(&directory), TriggerReading::Off, "it is a directory");
        for (content, expected) in [
            ("1", TriggerReading::On),
            ("1\n", TriggerReading::On),
            (" on\n", TriggerReading::On),
            ("0\n", TriggerReading::Off),
            ("off", TriggerReading::Off),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(read(&path), expected, "{content:?}");
        }
        let touched = Duration::from_secs(1_000_000);
        for content in ["", "\n", "10", "on and more than that"] {
            fs::write(&path, content).unwrap();
            let at = SystemTime::UNIX_EPOCH + touched;
            File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
            assert_eq!(read(&path), TriggerReading::Touched(Some(at)), "{content:?}");
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn a_file_is_read_again_and_again() {
        let mut trigger = Trigger::new(Some("/nonexistent/trigger".into()));
        assert_eq!(trigger.next().await, TriggerReading::Off);
        assert_eq!(trigger.next().await, TriggerReading::Off);
    }
}
