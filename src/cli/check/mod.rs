//! `check`: checks all that a job needs, from the configuration to the price, and says what to do.
//!
//! | id | what is checked |
//! |---|---|
//! | `configuration` | it is valid |
//! | `agent` | whether an agent runs with this configuration |
//! | `api` | the API's address can be listened on |
//! | `clock` | a time source has set it |
//! | `schedule` | whether `job.schedule`, if there is one, is open now, and by which local time |
//! | `memory` | enough is available |
//! | `kernel` | the settings that the package brings |
//! | `disk` | the directories of state, outputs, events and store: they can be written, and have room |
//! | `encoder` | the encoder that would be chosen encodes some frames |
//! | `camera` | frames come out of the pipeline that a job would run; or the running agent has it |
//! | `microphone` | audio comes from it; only if audio is configured |
//! | `credentials` | token, authorities and headers can be read; only shown if not |
//! | `dns` | the names of the configured peers have addresses |
//! | `tls` | signers and the discovery endpoint show certificates that are trusted, and so do the orchestrators |
//! | `signer` | a signer accepts the credential; the request for this costs nothing |
//! | `discovery` | lists of orchestrators come |
//! | `orchestrators` | one of them offers what the job wants |
//! | `price` | the lowest price, and whether it is limited |
//! | `mqtt` | the broker accepts a connection with the credential; only if one is configured |
//!
//! The checks of devices run beside those of the network; every check has a time limit, and all take at most
//! [`LONGEST`]. Files named `io` collect facts, the others judge them.
//!
//! Does not: start or pay a job, pin a certificate, or keep a list or a result.

mod agent;
mod device;
mod finding;
mod io;
mod machine;
mod offers;

use std::path::Path;
use std::time::Duration;

use self::finding::{CheckReport, Finding};
use super::setup::service_file;
use super::{Error, Settings, logger};
use crate::config::io::load;
use crate::config::{self, Config, Purpose, Resolved};
use crate::outputs;
use resilience::fault::chain;
use resilience::stop::Stop;

/// The longest time of all checks together.
pub const LONGEST: Duration = Duration::from_secs(90);

/// A valid configuration, and what was found about it.
#[derive(Debug)]
struct Checked {
    config: Config,
    findings: Vec<Finding>,
}

/// Checks the configuration, which the other checks need; fails with all of its problems. Without a file and keys, the
/// configuration of the service is checked.
fn configuration(settings: &mut Settings, json: bool) -> Result<Checked, Error> {
    if settings.file.is_none() && settings.keys.is_empty() {
        settings.file = Some(service_file()).filter(|path| path.exists());
    }
    let loaded = load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run);
    match loaded.map_err(Error::Config).and_then(|resolved| with_output(resolved, settings)) {
        Ok(Resolved { config, removed, .. }) => {
            // The report names the problems; the log would repeat them.
            let wanted = config.log > log::LevelFilter::Info;
            logger::init(if wanted { config.log } else { log::LevelFilter::Error });
            let name = settings.file.as_deref().map(name);
            let removed: Vec<String> = removed.iter().map(ToString::to_string).collect();
            Ok(Checked { config, findings: finding::of_configuration(name, &removed) })
        }
        Err(error) => {
            let text = if let Error::Config(config::Error::Wrong(problems)) = &error {
                problems.iter().map(ToString::to_string).collect()
            } else {
                vec![chain(&error)]
            };
            let mut report = CheckReport::new(json);
            if json {
                report.add(finding::of_wrong_configuration(&text));
                report.end();
            }
            Err(error)
        }
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn with_output(resolved: Resolved, settings: &Settings) -> Result<Resolved, Error> {
    outputs::check(&resolved.config, settings.file.as_deref()).map_err(Error::Output)?;
    Ok(resolved)
}

/// Runs all checks and prints what they find, for people as it is found.
pub async fn run(mut settings: Settings, json: bool, mut stop: Stop) -> Result<(), Error> {
    let Checked { config, findings } = configuration(&mut settings, json)?;
    let mut report = CheckReport::new(json);
    let work = async {
        report.add(findings);
        let agent = io::agent::find(&config, &settings).await;
        report.add(vec![agent.finding(), io::agent::api(&config, &agent).await]);
        report.add(machine::all(&io::machine::facts(&config).await));
        let (device, network, broker) = tokio::join!(
            io::device::check(&config, &agent),
            io::network::check(&config),
            io::agent::broker(&config)
        );
        report.add(device);
        report.add(network);
        report.add(broker.into_iter().collect());
    };
    tokio::select! {
        biased;
        () = stop.wait() => return Err(Error::Interrupted),
        late = tokio::time::timeout(LONGEST, work) => {
            if late.is_err() {
                report.add(vec![finding::of_all_late(LONGEST)]);
            }
        }
    }
    match report.end() {
        0 => Ok(()),
        failed => Err(Error::Checks(failed)),
    }
}
