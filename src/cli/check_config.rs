//! `check-config`: checks a configuration.
//!
//! Does not: check whether cameras and peers exist, or open the output.

use super::{Error, Settings, print};
use crate::config::{self, Purpose};
use crate::outputs;

/// Prints that the configuration is valid, and which keys of earlier versions are ignored; or fails with all problems.
pub fn check_config(settings: Settings) -> Result<(), Error> {
    let resolved = config::io::load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run)?;
    outputs::check(&resolved.config, settings.file.as_deref()).map_err(Error::Output)?;
    resolved.removed.iter().for_each(|problem| print(&format!("{problem}\n")));
    let name =
        settings.file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
    print(&format!("{name}: ok\n"));
    Ok(())
}
