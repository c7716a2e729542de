//! The file that says where the API of a running agent is, and the name of this device.
//!
//! The file is in `$RUNTIME_DIRECTORY`, else in the state directory. Only its owner may read it.
//!
//! Does not: prove that the agent still runs; a killed agent leaves its file.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use resilience::state_file::io::StateFile;

/// The name of the file.
const FILE: &str = "api.json";
/// The longest file.
const FILE_BYTES: u64 = 4096;
/// The variable in which systemd names the directory of a service that is emptied at each start.
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";
/// The file in which the kernel gives the name of this device.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The file with the address. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct AddressFile(PathBuf);

impl AddressFile {
    /// Writes the address of this process' API. `None` if there is no directory for it, or it cannot be written.
    pub(super) fn write(state: Option<&Path>, address: &str) -> Option<Self> {
        let directory = runtime_directory().or_else(|| state.map(Path::to_owned))?;
        let file = file(&directory);
        let content = json!({"version": 1, "address": address, "process": std::process::id()});
        file.write(format!("{content}\n").as_bytes()).then(|| Self(file.path().to_owned()))
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the API of an agent was when the agent wrote its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAddress {
    /// A URL, or `unix:` and a path.
    pub(crate) address: String,
    /// The agent's process.
    pub(crate) process: Option<u32>,
}

/// The address in the file that an agent wrote into this directory; `None` if there is none. The error is the path of a
/// file that may not be read.
pub(crate) fn kept_address(directory: &Path) -> Result<Option<KeptAddress>, PathBuf> {
    let path = directory.join(FILE);
    let text = match File::open(&path).map(|file| file.take(FILE_BYTES)) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map(|_| text)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(path),
        Err(error) => Err(error),
    };
    let value = text.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    Ok(value.and_then(|value| {
        let address = value.get("address")?.as_str()?.to_owned();
        let process = value.get("process").and_then(Value::as_u64);
        Some(KeptAddress { address, process: process.and_then(|id| id.try_into().ok()) })
    }))
}

fn file(directory: &Path) -> StateFile {
    StateFile::new(directory, FILE, "the API's address", FILE_BYTES)
}

fn runtime_directory() -> Option<PathBuf> {
    let paths = std::env::var(RUNTIME_DIRECTORY).ok()?;
    // systemd may name several, separated by colons; the first one is used.
    paths.split(':').next().filter(|path| path.starts_with('/')).map(PathBuf::from)
}

/// The name of this device, if the kernel gives it.
pub(super) fn host_name() -> Option<String> {
    fs::read_to_string(HOST_NAME).ok()
}
