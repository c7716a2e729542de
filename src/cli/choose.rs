//! Chooses the configuration that `run` starts with.
//!
//! | start | the configuration at hand is | then |
//! |---|---|---|
//! | of the service | right | it runs; once it has worked it is kept |
//! | of the service | refused, or cannot be read | the one that worked last runs, with a warning in the log and, all the time, in the status |
//! | of the service | the same, and none is kept or that one is refused too | the end, with exit code 2 |
//! | by hand | refused, or cannot be read | the end, with exit code 2 |
//!
//! The one that worked last runs as a whole: a mixture of it with the environment and the arguments of now has never
//! run anywhere. So an unattended device survives a release that drops a key, a file that a power cut has emptied,
//! and a mistake that nobody sees before the next boot.
//!
//! Does not: judge a configuration; `config` does.

use std::time::Instant;

use super::{Error, Settings, logger, output};
use crate::config::io::load;
use crate::config::{Kept, Purpose, Resolved};
use crate::service::{Service, is_service};
use resilience::fault::chain;
use resilience::words;

/// Characters of the status that say what is wrong with a configuration.
const REASON: usize = 160;

/// The configuration to start with.
#[derive(Debug)]
pub struct Chosen {
    /// The configuration.
    pub resolved: Resolved,
    /// What the status says of it all the time, if it is not the one at hand.
    pub notice: Option<String>,
    /// Where it is kept once it has worked; `None` at a start by hand.
    pub kept: Option<Kept>,
}

/// Chooses, and begins to log.
pub fn choose(settings: &Settings) -> Result<Chosen, Error> {
    let kept = is_service().then(Kept::open).flatten();
    let refused = match at_hand(settings) {
        Ok(resolved) => {
            logger::init(resolved.config.log);
            warn_of_removed(&resolved);
            return Ok(Chosen { resolved, notice: None, kept });
        }
        Err(error) => error,
    };
    let sound = |at: &Kept| {
        let resolved = at.load()?.map_err(Error::Config);
        Some(resolved.and_then(|resolved| with_output(resolved, settings)))
    };
    match kept.as_ref().and_then(|kept| Some((kept, sound(kept)?))) {
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
            // The agent says it as soon as it has opened the camera.
            Service::from_environment(Instant::now()).notice(notice.clone());
            Ok(Chosen { resolved, notice, kept })
        }
    }
}

fn at_hand(settings: &Settings) -> Result<Resolved, Error> {
    let resolved = load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run)?;
    with_output(resolved, settings)
}

/// The configuration, if its output destroys nothing.
fn with_output(resolved: Resolved, settings: &Settings) -> Result<Resolved, Error> {
    output::check(&resolved.config, settings).map_err(Error::Output)?;
    Ok(resolved)
}

/// One thing that is wrong, in one line.
fn first(refused: &Error) -> String {
    if let Error::Config(error) = refused { error.first() } else { chain(refused) }
}

/// What the status says while another configuration runs than the one at hand.
pub(super) fn notice(running: &str, reason: &str) -> String {
    format!("configuration refused, {running} runs ({})", words::line(reason, REASON))
}

/// Says which keys are ignored because they are of an earlier version.
pub(super) fn warn_of_removed(resolved: &Resolved) {
    resolved.removed.iter().for_each(|problem| log::warn!("{problem}"));
}
