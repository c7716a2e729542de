//! Keeps the owner's wish for a job over restarts, in `wish-NAME.json` of the state directory.
//!
//! The end of a start with a time is kept by this computer's clock. A clock that is wrong after a restart cannot make
//! the time longer than it was.
//!
//! Does not: decide whether a job is wanted; `Wanted` does.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::agent::wanted::JobWish;
use resilience::state_file::io::StateFile;

/// The longest file, which has three short fields.
const FILE_BYTES: u64 = 1024;

/// The kept wish of one instance. Clones share it. The default keeps the wish in memory only.
#[derive(Debug, Clone, Default)]
pub struct KeptWish(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    file: Option<StateFile>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    wish: Option<Entry>,
    /// Whether the wish still has to be written to the file.
    is_unwritten: bool,
}

/// The content of the file. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
enum Entry {
    Start {
        /// The time that was set with the start, and when it ends, since the Unix epoch.
        timed: Option<(u64, u64)>,
    },
    Stop,
    Auto,
}

impl KeptWish {
    /// The wish that `instance` kept in `directory`. Reads the file.
    pub fn open(directory: Option<&Path>, instance: &str) -> Self {
        let file = directory
            .map(|directory| StateFile::new(directory, &name(instance), "kept wish", FILE_BYTES));
        let wish = file.as_ref().and_then(read);
        let state = Mutex::new(State { wish, is_unwritten: false });
        Self(Arc::new(Kept { file, state }))
    }

    /// The wish now: a start whose time is over is [`JobWish::Auto`].
    pub(super) fn wish(&self) -> JobWish {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wish.map_or(JobWish::Auto, |entry| entry.at(unix_seconds()))
    }

    /// Keeps a wish. Call [`KeptWish::write`] afterwards.
    pub(super) fn keep(&self, wish: JobWish) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { wish: Some(Entry::of(wish, unix_seconds())), is_unwritten: true };
    }

    /// Writes the wish to the file, if it has changed. Blocks.
    pub(super) fn write(&self) {
        let Some(file) = &self.0.file else { return };
        // The lock is held while writing, so that the last call writes the last wish.
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wish) = state.wish.filter(|_| state.is_unwritten) {
            // An enum of numbers always serialises.
            file.write(&serde_json::to_vec(&wish).unwrap_or_default());
        }
        state.is_unwritten = false;
    }
}

impl Entry {
    fn of(wish: JobWish, now: u64) -> Self {
        match wish {
            JobWish::Start { time } => Self::Start {
                timed: time.map(|time| (time.as_secs(), now.saturating_add(time.as_secs()))),
            },
            JobWish::Stop => Self::Stop,
            JobWish::Auto => Self::Auto,
        }
    }

    fn at(self, now: u64) -> JobWish {
        match self {
            Self::Start { timed: None } => JobWish::Start { time: None },
            Self::Start { timed: Some((_, end)) } if end <= now => JobWish::Auto,
            Self::Start { timed: Some((whole, end)) } => {
                JobWish::Start { time: Some(Duration::from_secs(whole.min(end - now))) }
            }
            Self::Stop => JobWish::Stop,
            Self::Auto => JobWish::Auto,
        }
    }
}

fn read(file: &StateFile) -> Option<Entry> {
    let bytes = file.read()?;
    let wish = serde_json::from_slice(&bytes).ok();
    if wish.is_none() {
        file.set_aside("not the JSON of a wish");
    }
    wish
}

/// The name of an instance's file.
fn name(instance: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("wish-{}.json", instance.chars().map(plain).collect::<String>())
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wish: JobWish, kept_at: u64, read_at: u64, expected: JobWish) {
        let text = serde_json::to_vec(&Entry::of(wish, kept_at)).unwrap();
        let entry: Entry = serde_json::from_slice(&text).unwrap();
        assert_eq!(entry.at(read_at), expected, "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn a_wish_is_the_same_after_a_restart_and_a_start_keeps_its_end() {
        let start = |seconds| JobWish::Start { time: Some(Duration::from_secs(seconds)) };
        let for_ever = JobWish::Start { time: None };
        check(for_ever, 100, 90_000, for_ever);
        check(JobWish::Stop, 100, 90_000, JobWish::Stop);
        check(JobWish::Auto, 100, 90_000, JobWish::Auto);
        check(start(600), 1000, 1400, start(200));
        check(start(600), 1000, 1600, JobWish::Auto);
        check(start(600), 1000, 90_000, JobWish::Auto);
        // The clock starts in the past.
        check(start(600), 90_000, 100, start(600));
        check(start(u64::MAX), 1000, 1400, start(u64::MAX - 1400));
    }

    #[test]
    fn a_wish_survives_in_its_file_and_a_torn_file_counts_as_none() {
        let state = std::env::temp_dir().join(format!("wish-{}", std::process::id()));
        std::fs::create_dir_all(&state).unwrap();
        let open = |instance| KeptWish::open(Some(&state), instance);
        assert_eq!(open("a/b").wish(), JobWish::Auto);
        let kept = open("a/b");
        kept.keep(JobWish::Stop);
        kept.write();
        assert_eq!((open("a/b").wish(), open("c").wish()), (JobWish::Stop, JobWish::Auto));
        std::fs::write(state.join("wish-a_b.json"), "{\"wish\":").unwrap();
        assert_eq!(open("a/b").wish(), JobWish::Auto);
        std::fs::remove_dir_all(&state).unwrap();
        // Without a directory, only memory keeps the wish.
        let kept = KeptWish::default();
        kept.keep(JobWish::Stop);
        kept.write();
        assert_eq!(kept.wish(), JobWish::Stop);
    }
}
