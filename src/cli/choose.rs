//! Chooses the configuration that `run` starts with.
//!
//! | start | the present configuration is | then |
//! |---|---|---|
//! | of the service | valid | it runs; once it has worked it is kept |
//! | of the service | refused, or cannot be read | the last working one runs, with a warning in the log and in every status |
//! | of the service | refused, or cannot be read; no working one is kept, or the kept one is refused too | exit code 2 |
//! | by hand | refused, or cannot be read | exit code 2 |
//!
//! The last working configuration runs without the present environment and arguments: a mixture of both was never
//! tested. An unattended device thus survives a release that drops a key, a file emptied by a power cut, and a mistake
//! that shows only at the next boot.
//!
//! Does not: check a configuration; `config` does.

use std::time::Instant;

use super::{Error, Settings, logger};
use crate::config::io::load;
use crate::config::{KeptConfig, Purpose, Resolved};
use crate::outputs;
use crate::service::{Service, is_service};
use resilience::fault::chain;
use resilience::sanitize;

/// The most characters of the status for the problem of a configuration.
const REASON: usize = 160;

/// The configuration to start with.
#[derive(Debug)]
pub struct Chosen {
    /// The configuration.
    pub resolved: Resolved,
    /// The notice in every status, if the present configuration is refused.
    pub notice: Option<String>,
    /// The file that keeps the configuration once it has worked; `None` at a start by hand.
    pub kept: Option<KeptConfig>,
}

/// Chooses the configuration, and sets up the log by it.
pub fn choose(settings: &Settings) -> Result<Chosen, Error> {
    let kept = is_service().then(KeptConfig::open).flatten();
    let refused = match load_present(settings) {
        Ok(resolved) => {
            logger::init(resolved.config.log);
            warn_of_removed(&resolved);
            return Ok(Chosen { resolved, notice: None, kept });
        }
        Err(error) => error,
    };
    let load_kept = |at: &KeptConfig| {
        let resolved = at.load()?.map_err(Error::Config);
        Some(resolved.and_then(|resolved| with_output(resolved, settings)))
    };
    match kept.as_ref().and_then(|kept| Some((kept, load_kept(kept)?))) {
        None => Err(refused),
        Some((kept, Err(error))) => {
            logger::init(log::LevelFilter::Info);
            log::warn!("{}, which worked last, is refused too: {}", kept.name(), chain(&error));
            Err(refused)
        }
        Some((at, Ok(resolved))) => {
            logger::init(resolved.config.log);
            log::warn!(
                "the configuration is refused: {}; the one that worked last runs in its place: {}",
                chain(&refused),
                at.name()
            );
            warn_of_removed(&resolved);
            let notice = Some(notice("the one that worked last", &first(&refused)));
            // The agent repeats the notice once it has opened the camera.
            Service::from_environment(Instant::now()).notice(notice.clone());
            Ok(Chosen { resolved, notice, kept })
        }
    }
}

fn load_present(settings: &Settings) -> Result<Resolved, Error> {
    let resolved = load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run)?;
    with_output(resolved, settings)
}

/// The configuration, if its output does not overwrite another file that is needed.
fn with_output(resolved: Resolved, settings: &Settings) -> Result<Resolved, Error> {
    outputs::check(&resolved.config, settings.file.as_deref()).map_err(Error::Output)?;
    Ok(resolved)
}

/// One problem in one line.
fn first(refused: &Error) -> String {
    if let Error::Config(error) = refused { error.first() } else { chain(refused) }
}

/// The notice in every status while another configuration runs than the present one.
pub(super) fn notice(running: &str, reason: &str) -> String {
    format!("configuration refused, {running} runs ({})", sanitize::line(reason, REASON))
}

/// Warns of keys of earlier versions, which are ignored.
pub(super) fn warn_of_removed(resolved: &Resolved) {
    resolved.removed.iter().for_each(|problem| log::warn!("{problem}"));
}
