//! Keeps the configuration that worked last, for a start with one that is refused.
//!
//! It is one file of TOML with what file, environment and arguments said together, in the state directory as the
//! environment names it (`$STATE_DIRECTORY` first), whatever `state.directory` says: it has to be found without a
//! configuration. Only its owner may read it (0600). Credentials stand in it as in every configuration, by the places where they are kept; what else
//! is secret in a configuration, such as a password in `source.fragment`, stands in it too.
//!
//! Does not: decide when a configuration has worked.

use super::{FILE_BYTES, state_variables};
use crate::config::resolve::state_directory;
use crate::config::{Error, Layers, Purpose, Resolved, resolve_all};
use resilience::state_file::io::StateFile;

/// Its name in that directory.
const NAME: &str = "last-working.toml";
const HEAD: &str = "# The configuration that worked last, of file, environment and arguments together. The service runs with it\n\
                    # when it starts with a configuration that is refused. Written by livepeer-edge; changes are lost.\n";

/// The place of the configuration that worked last.
#[derive(Debug)]
pub struct Kept(StateFile);

impl Kept {
    /// Its place for this process; `None` where nothing says where state is kept.
    pub fn open() -> Option<Self> {
        let directory = state_directory(&state_variables())?;
        Some(Self(StateFile::new(&directory, NAME, "last working configuration", FILE_BYTES)))
    }

    /// The file, for messages.
    pub fn name(&self) -> String {
        self.0.path().display().to_string()
    }

    /// What is kept, alone: neither environment nor arguments say anything beside it. `None` if nothing is.
    pub fn load(&self) -> Option<Result<Resolved, Error>> {
        let text = String::from_utf8(self.0.read()?).ok()?;
        let file = Some((self.name(), text));
        Some(resolve_all(&Layers { file, ..Layers::default() }, Purpose::Run).map_err(Error::Wrong))
    }

    /// Keeps this one from now on.
    pub fn keep(&self, resolved: &Resolved) {
        if self.0.write(resolved.text(HEAD).as_bytes()) {
            log::debug!("{}: the configuration has worked, and is kept", self.name());
        }
    }
}
