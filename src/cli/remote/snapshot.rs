//! `snapshot`: writes the newest picture of a running agent to a file.
//!
//! Does not: overwrite a file before the picture has arrived as a whole.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use super::http::Request;
use super::{Agent, RemoteError, Settings};
use crate::config::Config;

/// Time for the picture: the times for a key frame and for decoding, with a margin.
const PICTURE_TIME: Duration = Duration::from_secs(30);

/// Writes the newest picture of `stream` to `path`; `-` is standard output.
pub(super) fn snapshot(
    config: &Config,
    settings: &Settings,
    path: &Path,
    stream: &str,
) -> Result<(), RemoteError> {
    let agent = Agent::find(config, settings)?;
    let question = format!("/snapshot.jpg?stream={stream}");
    let picture = agent.ask(Request::get(&question), PICTURE_TIME)?.body;
    let written = match path == Path::new("-") {
        true => io::stdout().lock().write_all(&picture),
        false => replace(path, &picture),
    };
    written.map_err(|error| RemoteError::Write(path.to_owned(), error))
}

/// Replaces the file, so that a reader sees the old picture or the new one. Anything other than a file, such as a
/// device, is written to.
fn replace(path: &Path, picture: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| !file.is_file()) {
        return fs::write(path, picture);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new: PathBuf = path.with_file_name(name);
    let written = fs::write(&new, picture).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // Remove the incomplete file.
        let _ = fs::remove_file(&new);
    }
    written
}
