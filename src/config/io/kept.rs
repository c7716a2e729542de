//! Keeps the last working configuration, for a start with a configuration that is refused.
//!
//! The kept configuration is one TOML file with all keys of file, environment and arguments. The file is in the state
//! directory that the environment names (`$STATE_DIRECTORY` first), not in `state.directory`, because it has to be
//! found without a configuration. Only its owner may read it (0600): credentials are named only by their places, but a
//! value such as `source.fragment` may contain a password.
//!
//! Does not: decide when a configuration has worked.

use super::{FILE_BYTES, state_variables};
use crate::config::resolve::state_directory;
use crate::config::{Error, Layers, Purpose, Resolved, resolve_all};
use resilience::state_file::io::StateFile;

/// The name of the file.
const NAME: &str = "last-working.toml";
const HEAD: &str = "# The configuration that worked last, of file, environment and arguments together. The service runs with it\n\
                    # when it starts with a configuration that is refused. Written by livepeer-edge; changes are lost.\n";

/// The file of the last working configuration.
#[derive(Debug)]
pub struct KeptConfig(StateFile);

impl KeptConfig {
    /// The file of this process; `None` without a state directory.
    pub fn open() -> Option<Self> {
        let directory = state_directory(&state_variables())?;
        Some(Self(StateFile::new(&directory, NAME, "last working configuration", FILE_BYTES)))
    }

    /// The path of the file, for messages.
    pub fn name(&self) -> String {
        self.0.path().display().to_string()
    }

    /// Loads the kept configuration, without environment and arguments. `None` if there is none.
    pub fn load(&self) -> Option<Result<Resolved, Error>> {
        let text = String::from_utf8(self.0.read()?).ok()?;
        let file = Some((self.name(), text));
        Some(resolve_all(&Layers { file, ..Layers::default() }, Purpose::Run).map_err(Error::Wrong))
    }

    /// Replaces the kept configuration.
    pub fn keep(&self, resolved: &Resolved) {
        if self.0.write(resolved.text(HEAD).as_bytes()) {
            log::debug!("{}: the configuration has worked, and is kept", self.name());
        }
    }
}
