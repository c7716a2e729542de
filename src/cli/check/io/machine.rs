//! Reads the facts about this computer: from /proc, from the programs that know the clock, and from disks.
//!
//! Does not: change settings; the file that it makes in each directory is removed at once.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::agent::Schedule;
use crate::cli::check::machine::{Directory, Machine, SETTINGS};
use crate::config::Config;
use livepeer_gateway::clock::io::read_clock;
use media::Target;
use media::io::free_bytes;

/// The time limit for each fact that may hang: a program that knows the clock, or a network disk.
const TIME: Duration = Duration::from_secs(5);
/// The program's name.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The facts.
pub(in crate::cli::check) async fn facts(config: &Config) -> Machine {
    let clock = timeout(TIME, spawn_blocking(|| read_clock().state()));
    let wanted = directories(config);
    let disks =
        wanted.into_iter().map(|wanted| timeout(TIME, spawn_blocking(move || wanted.look())));
    let disks: Vec<_> = disks.collect();
    let mut directories = Vec::new();
    for disk in disks {
        directories.extend(disk.await.ok().and_then(Result::ok));
    }
    Machine {
        clock: clock.await.ok().and_then(Result::ok),
        schedule: config.wanted.schedule.as_ref().map(Schedule::describe_now),
        memory: fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text)),
        settings: SETTINGS.iter().map(|(name, _)| setting(name)).collect(),
        congestion_controls: setting("net.ipv4.tcp_available_congestion_control"),
        directories,
    }
}

/// A value below /proc/sys.
fn setting(name: &str) -> Option<String> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The available bytes, by the text of /proc/meminfo.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// A directory to check.
struct Wanted {
    key: &'static str,
    path: PathBuf,
    limit: Option<u64>,
    /// Whether the agent makes the directory if it is missing.
    is_made: bool,
}

/// The directories that the agent writes to with `config`.
fn directories(config: &Config) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    if let Some(path) = config.state_directory.clone() {
        wanted.push(Wanted { key: "state.directory", path, limit: None, is_made: true });
    }
    for output in &config.outputs {
        let (file, limit) = match &output.target {
            Target::File(file) => (file, None),
            Target::Numbered(files) => (&files.path, files.max_bytes),
            Target::Stdout | Target::Udp(_) | Target::Stream(_) => continue,
        };
        wanted.push(Wanted { key: "output.path", path: folder(file), limit, is_made: false });
    }
    if let Some(file) = &config.events.file {
        wanted.push(Wanted {
            key: "events.file",
            path: folder(&file.path),
            limit: None,
            is_made: false,
        });
    }
    if let Some(store) = &config.media.store {
        let (path, limit) = (store.directory.clone(), Some(store.bytes));
        wanted.push(Wanted { key: "store.directory", path, limit, is_made: true });
    }
    wanted
}

/// The directory of a file.
fn folder(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

impl Wanted {
    fn look(self) -> Directory {
        let Self { key, path, limit, is_made } = self;
        let there = path.ancestors().find(|folder| !is_made || folder.exists());
        let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let refused = try_to_write(there).err().map(|error| error.to_string());
        let free = free_bytes(there);
        // Stored files are removed to make room for new ones, so their size counts as free.
        let used = if key == "store.directory" { used(&path) } else { 0 };
        Directory { key, path, refused, free: free.map(|free| free.saturating_add(used)), limit }
    }
}

fn try_to_write(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".{PROGRAM}-check-{}", std::process::id()));
    match OpenOptions::new().write(true).create_new(true).open(&file) {
        Ok(_) => fs::remove_file(&file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The bytes of the files in a directory.
fn used(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_available_memory_is_read() {
        let text = "MemTotal:        8000000 kB\nMemAvailable:     123456 kB\n";
        assert_eq!(available(text), Some(123_456 * 1024));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: x kB\n"), None);
    }

    #[test]
    fn a_missing_directory_is_checked_in_its_nearest_parent() {
        let look = |is_made| {
            let path = std::env::temp_dir().join("le-check-missing/below");
            Wanted { key: "state.directory", path, limit: None, is_made }.look()
        };
        assert_eq!(look(true).refused, None);
        assert!(look(false).refused.is_some_and(|reason| reason.contains("No such file")));
    }
}
