//! `check-config`: says whether a configuration is right.
//!
//! Does not: look whether cameras and peers are there, or open the output.

use super::{Error, Settings, output, print};
use crate::config::{self, Purpose};

/// Prints that the configuration is right, with the keys of earlier versions that are ignored; or fails with
/// everything that is wrong.
pub fn check_config(settings: Settings) -> Result<(), Error> {
    let resolved = config::io::load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run)?;
    output::check(&resolved.config, &settings).map_err(Error::Output)?;
    resolved.removed.iter().for_each(|problem| print(&format!("{problem}\n")));
    let name =
        settings.file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
    print(&format!("{name}: ok\n"));
    Ok(())
}
