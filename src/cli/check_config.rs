//! `check-config`: says whether a configuration is right.
//!
//! Does not: look whether cameras and peers are there.

use super::{Error, Settings, print};
use crate::config::{self, Purpose};

/// Prints that the configuration is right, with the keys of earlier versions that are ignored; or fails with
/// everything that is wrong.
pub fn check_config(settings: Settings) -> Result<(), Error> {
    let Settings { file, keys } = settings;
    let resolved = config::io::load(file.as_deref(), keys, Purpose::Run)?;
    resolved.removed.iter().for_each(|problem| print(&format!("{problem}\n")));
    let name = file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
    print(&format!("{name}: ok\n"));
    Ok(())
}
