//! The store of the input: each file decodes alone, the store is written while no orchestrator is reachable, and a
//! reload changes the store without an interruption of the camera. Without a store, the agent does not write to the
//! disk.
//!
//! Does not: test which files are kept, or failing disks; the unit tests of `media::store` and `media::io::store` do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod media_capture;
mod stream;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use edge::{Edge, LIMIT, SMALL, say, temporary};
use media::io::{AccessUnits, Capture, End};
use media::store::Stored;
use media::{Source, Store};
use media_capture::{block_on, options};
use sandbox::{self, Sandbox};

/// The files of a store with their contents, the oldest first.
fn files(directory: &Path) -> Vec<(Stored, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let (name, bytes) = (path.file_name().unwrap().to_owned(), fs::read(&path).unwrap());
            let stored = Stored::read(name.to_str().unwrap(), bytes.len() as u64);
            (stored.unwrap_or_else(|| panic!("{name:?}")), bytes)
        })
        .collect();
    files.sort_unstable_by_key(|(file, _)| file.number);
    files
}

/// Captures five seconds of a test picture.
async fn capture(units: &AccessUnits) {
    let fragment = "videotestsrc is-live=true num-buffers=120 ! video/x-raw,framerate=24/1".into();
    let options = options(Source::Pipeline { fragment }, (320, 180), 400_000);
    let capture = Capture::start(&options, units.clone()).unwrap();
    assert!(matches!(capture.ended().await, End::EndOfStream));
    capture.stop().await;
}

#[tokio::test]
async fn each_file_decodes_alone_and_no_picture_is_lost_while_no_job_reads() {
    let directory = temporary("input");
    let units = AccessUnits::new();
    let keep = Duration::from_secs(60);
    units.set_store(Some(&Store { directory: directory.clone(), keep, bytes: u64::MAX }));
    capture(&units).await;
    units.end_store(LIMIT).await;
    let files = files(&directory);
    let pictures: Vec<usize> = files.iter().map(|(_, ts)| stream::decode(ts).len()).collect();
    let length: u64 = files.iter().map(|(file, _)| file.length).sum();
    say(&format!("{pictures:?} pictures in {} files of {length} ms", files.len()));
    assert!((4..=6).contains(&files.len()));
    assert_eq!(pictures.iter().sum::<usize>() as u64, units.encoded());
    assert!((4_500..6_000).contains(&length));
    let all = files.iter().flat_map(|(_, ts)| ts.clone()).collect::<Vec<u8>>();
    assert_eq!(stream::segments(&all).len(), files.len());
    fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_new_store_continues_after_the_last_picture_of_the_previous_one() {
    let directory = temporary("input");
    let units = AccessUnits::new();
    let store = |secs| Store {
        directory: directory.clone(),
        keep: Duration::from_secs(secs),
        bytes: u64::MAX,
    };
    units.set_store(Some(&store(60)));
    let changed = async {
        units.more_than(60).await;
        units.set_store(None);
        units.set_store(Some(&store(2)));
    };
    tokio::join!(capture(&units), changed);
    units.end_store(LIMIT).await;
    let files = files(&directory);
    let numbers: Vec<u64> = files.iter().map(|(file, _)| file.number).collect();
    let length: u64 = files.iter().map(|(file, _)| file.length).sum();
    assert!(numbers[0] > 1 && numbers.windows(2).all(|two| two[1] == two[0] + 1), "{numbers:?}");
    assert!((2_000..4_000).contains(&length), "{length} ms in {numbers:?}");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn input_is_stored_while_no_orchestrator_can_be_reached() {
    let directory = temporary("input");
    let job = ["run", "--orchestrator.urls", "https://127.0.0.1:1", "--job.model", "m"];
    let store = ["--store.directory", directory.to_str().unwrap(), "--log.level", "debug"];
    let mut edge = Edge::start(&[&job[..], &SMALL, &store].concat());
    edge.hear("input is stored in ");
    edge.hear("input-00000003-");
    edge.signal("TERM");
    let ended = edge.end().with_code(0);
    let files = files(&directory);
    assert!(files.len() >= 3, "{}", ended.stderr);
    assert!(files.iter().all(|(_, ts)| !stream::decode(ts).is_empty()));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_store_that_is_not_a_directory_is_one_warning_and_the_job_continues() {
    let file = temporary("file");
    fs::write(&file, "mine").unwrap();
    let sandbox = Sandbox::start(sandbox::Options::default()).unwrap();
    let job = ["run", "--orchestrator.urls", &sandbox.url(), "--job.model", "m"];
    let store = ["--store.directory", file.to_str().unwrap()];
    let mut edge = Edge::start(&[&job[..], &SMALL, &store].concat());
    edge.hear("cannot store input in ");
    assert!(block_on(sandbox.until(LIMIT, |record| record.counters.segments >= 4)));
    edge.signal("TERM");
    let ended = edge.end().with_code(0);
    let warnings = ended.stderr.lines().filter(|line| line.contains("cannot store input"));
    assert_eq!(warnings.count(), 1, "{}", ended.stderr);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::remove_file(file).unwrap();
}

#[test]
fn a_reload_changes_the_store_without_restarting_the_camera() {
    let (config, directory) = (temporary("camera.toml"), temporary("input"));
    let sandbox = Sandbox::start(sandbox::Options::default()).unwrap();
    let write = |store: &str| {
        let text = format!(
            "log = {{ level = \"debug\" }}\norchestrator = {{ urls = [\"{}\"] }}\njob = {{ model = \"m\" }}\n{store}",
            sandbox.url()
        );
        fs::write(&config, text).unwrap();
    };
    let store = |minutes: u32| {
        format!("[store]\ndirectory = \"{}\"\nminutes = {minutes}\n", directory.display())
    };
    write("");
    let mut edge =
        Edge::start(&[&["run", "--config", config.to_str().unwrap()], &SMALL[..]].concat());
    edge.hear(" started, ");
    write(&store(10));
    edge.signal("HUP");
    edge.hear("input-00000002-");
    write(&store(20));
    edge.signal("HUP");
    edge.hear("SIGHUP: camera changed");
    edge.hear("input-00000004-");
    write("");
    edge.signal("HUP");
    edge.hear("SIGHUP: camera changed");
    let before = sandbox.counters().segments;
    assert!(block_on(sandbox.until(LIMIT, |record| record.counters.segments >= before + 2)));
    let stored = files(&directory).len();
    assert!(block_on(sandbox.until(LIMIT, |record| record.counters.segments >= before + 4)));
    assert_eq!(files(&directory).len(), stored, "nothing is stored after the reload");
    edge.signal("TERM");
    let ended = edge.end().with_code(0);
    assert!(!ended.stderr.contains("the source is opened again"), "{}", ended.stderr);
    assert_eq!(sandbox.counters().jobs, 1);
    assert_eq!(sandbox.violations().list(), []);
    fs::remove_dir_all(directory).unwrap();
    fs::remove_file(config).unwrap();
}

/// The bytes that a process has caused to be written to disks (`/proc/PID/io`).
fn written(edge: &Edge) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", edge.id())).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().parse().unwrap()
}

/// The size and the modification time of a directory and of everything below it.
fn state(directory: &Path) -> BTreeMap<String, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut places = vec![directory.to_owned()];
    while let Some(place) = places.pop() {
        let about = fs::symlink_metadata(&place).unwrap();
        if about.is_dir() {
            places.extend(fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(place.display().to_string(), (about.len(), about.modified().unwrap()));
    }
    found
}

/// Runs a job. Returns the bytes written to disks from its third segment to its 13th, and whether the state directory
/// is unchanged.
fn steady(more: &[&str]) -> (u64, bool) {
    let directory = temporary("state");
    let sandbox = Sandbox::start(sandbox::Options::default()).unwrap();
    let job = ["run", "--orchestrator.urls", &sandbox.url(), "--job.model", "m"];
    let kept = ["--state.directory", directory.to_str().unwrap()];
    let edge = Edge::start(&[&job[..], &SMALL, &kept, more].concat());
    assert!(block_on(sandbox.until(LIMIT, |record| record.counters.segments >= 3)));
    let (bytes, before) = (written(&edge), state(&directory));
    assert!(before.len() > 1, "the state directory has files: {before:?}");
    assert!(block_on(sandbox.until(LIMIT, |record| record.counters.segments >= 13)));
    let result = (written(&edge) - bytes, state(&directory) == before);
    edge.signal("TERM");
    edge.end().with_code(0);
    fs::remove_dir_all(directory).unwrap();
    result
}

#[test]
fn nothing_is_written_to_the_disk_in_steady_state() {
    let directory = temporary("input");
    let on = ["--store.directory", directory.to_str().unwrap()];
    let (off, (on, is_same)) = thread::scope(|scope| {
        let on = scope.spawn(|| steady(&on));
        (steady(&[]), on.join().unwrap())
    });
    say(&format!("bytes written to disks in 10 segments: {}; with the store: {on}", off.0));
    assert_eq!(off, (0, true));
    assert!(is_same);
    let stored: u64 = files(&directory).iter().map(|(file, _)| file.bytes).sum();
    // If the directory is in memory (tmpfs), the bytes are not counted.
    assert!(on > stored / 2 || on == 0, "{on} of {stored}");
    fs::remove_dir_all(directory).unwrap();
}
