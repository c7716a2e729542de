//! The encoders of this computer: finds them, tries them, and records in a file whether each one works.
//!
//! If the file cannot be written, its contents are kept in memory for as long as the program runs.
//!
//! Does not: choose among encoders; `choice` does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::choice::{Candidate, choose};
use crate::encoder::{self, Element, Kind, ROWS, Row, SOFTWARE};
use crate::io::clocks;
use crate::io::trial::trial;
use crate::verdicts::{Case, Verdict, Verdicts};
use crate::{MediaError, Options};
use resilience::state_file::io::StateFile;

/// The largest file; a verdict is a line of about 80 bytes.
const FILE_BYTES: u64 = 64 << 10;

/// The encoder that `options` name, or the first that works. May block while encoders are tried, each for at most
/// [`HARDWARE_TRIAL_TIME`](crate::limits::HARDWARE_TRIAL_TIME).
pub(super) fn encoder(options: &Options) -> Result<Element, MediaError> {
    if let Some(wanted) = options.encoder.element.as_deref() {
        let row =
            encoder::row(wanted).ok_or_else(|| MediaError::UnknownEncoder(wanted.to_owned()))?;
        return present(wanted, row).ok_or_else(|| MediaError::MissingElement(wanted.to_owned()));
    }
    let memory = VerdictStore::of(options);
    let mut verdicts = memory.read();
    let now = since_1970();
    let case = |element: &str| memory.case(element, options);
    let known = |element: &Element| verdicts.on(&case(&element.name), now).cloned();
    let candidates: Vec<Candidate> = ROWS
        .iter()
        .flat_map(all)
        .map(|element| Candidate { known: known(&element), element })
        .collect();
    if candidates.is_empty() {
        return Err(MediaError::MissingElement(SOFTWARE.to_owned()));
    }
    let choice =
        choose(candidates, |element| trial(element, &options.video, options.encoder.speed));
    // Without a trial the choice is the same as before. It is made every second while a camera is missing, so it is
    // logged at level debug.
    let level = if choice.tried.is_empty() { log::Level::Debug } else { log::Level::Info };
    log::log!(level, "{}", choice.reason());
    for (element, result) in &choice.tried {
        match result {
            Ok(()) => verdicts.note(case(element), Verdict::Works),
            Err(why) => verdicts.on_trial_failure(case(element), why, now),
        }
    }
    if !choice.tried.is_empty() {
        memory.write(&verdicts);
    }
    choice.element.ok_or(MediaError::NoEncoder { tried: choice.refused })
}

/// The encoder that `options` name, or the first software encoder of this computer. For video that does not come from a
/// camera. Does not block.
pub(super) fn software(options: &Options) -> Result<Element, MediaError> {
    if options.encoder.element.is_some() {
        return encoder(options);
    }
    ROWS.iter()
        .filter(|row| row.kind == Kind::Software)
        .find_map(|row| present(row.element, row))
        .ok_or_else(|| MediaError::MissingElement(SOFTWARE.to_owned()))
}

/// Records, for the next choice, that the encoder failed while it encoded with `options`. Ignored right after a suspend
/// of the computer, and when the options name the encoder.
pub(super) fn on_failure(options: &Options, element: &str, why: &str) {
    if options.encoder.element.is_some() {
        return;
    }
    if clocks::is_waking() {
        log::info!("{element} failed after a suspend of the computer; the failure is ignored");
        return;
    }
    let memory = VerdictStore::of(options);
    let mut verdicts = memory.read();
    verdicts.on_failure(memory.case(element, options), why, since_1970());
    memory.write(&verdicts);
}

/// The elements of this row that this computer has: at most one, except for the kernel's encoders.
pub(super) fn all(row: &'static Row) -> Vec<Element> {
    let factories = gst::Registry::get().features(gst::ElementFactory::static_type());
    let mut names: Vec<String> = factories.iter().map(|factory| factory.name().into()).collect();
    names.retain(|name| encoder::row(name) == Some(row));
    // The element that the row names comes first, then the others by the number in their names.
    names.sort_by_key(|name| (name != row.element, name.len(), name.clone()));
    names.iter().filter_map(|name| present(name, row)).collect()
}

/// The element of this name and row, if this computer has it.
fn present(name: &str, row: &'static Row) -> Option<Element> {
    let element = gst::ElementFactory::make(name).build().ok()?;
    Some(Element::named(name, row, |property| element.has_property(property)))
}

/// The file of verdicts, if the program has a state directory, and the GStreamer version that they are for.
struct VerdictStore {
    file: Option<StateFile>,
    gstreamer: String,
}

impl VerdictStore {
    fn of(options: &Options) -> Self {
        let (major, minor, micro, _) = gst::version();
        Self {
            file: options.state_directory.as_deref().map(|directory| {
                StateFile::new(directory, "encoders", "results of encoder trials", FILE_BYTES)
            }),
            gstreamer: format!("{major}.{minor}.{micro}"),
        }
    }

    fn case(&self, element: &str, options: &Options) -> Case {
        Case::new(element, &self.gstreamer, &options.video)
    }

    /// The verdicts recorded so far; empty if the file cannot be read, and then each encoder is tried again.
    fn read(&self) -> Verdicts {
        let path = self.file.as_ref().map(|file| file.path().to_owned());
        if let Some(text) = unwritten().get(&path) {
            return Verdicts::parse(text).0;
        }
        let Some(file) = &self.file else { return Verdicts::default() };
        let bytes = file.read().unwrap_or_default();
        let (verdicts, torn) = Verdicts::parse(&String::from_utf8_lossy(&bytes));
        if torn > 0 {
            file.set_aside(&format!("{torn} bad lines"));
            self.write(&verdicts);
        }
        verdicts
    }

    fn write(&self, verdicts: &Verdicts) {
        let text = verdicts.text();
        let path = self.file.as_ref().map(|file| file.path().to_owned());
        if self.file.as_ref().is_some_and(|file| file.write(text.as_bytes())) {
            unwritten().remove(&path);
        } else {
            unwritten().insert(path, text);
        }
    }
}

/// The contents that could not be written, by file; one entry, because the program has one state directory. This is a
/// static, because each capture is opened with a new [`VerdictStore`], and must find what an earlier capture could not
/// write.
fn unwritten() -> MutexGuard<'static, BTreeMap<Option<PathBuf>, String>> {
    static UNWRITTEN: Mutex<BTreeMap<Option<PathBuf>, String>> = Mutex::new(BTreeMap::new());
    UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
