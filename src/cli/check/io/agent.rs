//! Asks the agent that runs with the configuration, and tries what it would listen on and connect to.
//!
//! Does not: judge the answer of the agent, or disturb it: the broker gets another client name.

use tokio::task::spawn_blocking;

use crate::api::{Listen, try_to_listen};
use crate::cli::Settings;
use crate::cli::check::agent::AgentFound;
use crate::cli::check::finding::Finding;
use crate::cli::remote::{RemoteError, running};
use crate::config::Config;
use crate::mqtt::try_broker;
use resilience::fault::chain;

/// The agent that runs with this configuration.
pub(in crate::cli::check) async fn find(config: &Config, settings: &Settings) -> AgentFound {
    let (config, settings) = (config.clone(), settings.clone());
    let asked = spawn_blocking(move || running(&config, &settings)).await;
    AgentFound::of(asked.unwrap_or_else(|_| Err(RemoteError::NoAgent("its address".to_owned()))))
}

/// The finding about the address of the API.
pub(in crate::cli::check) async fn api(config: &Config, agent: &AgentFound) -> Finding {
    if let AgentFound::Runs(agent) = agent {
        return Finding::ok("api", "the running agent answers there").about(&agent.address);
    }
    if config.api.listen == Listen::Off {
        return Finding::ok("api", "is off");
    }
    match try_to_listen(&config.api).await {
        Ok(address) => Finding::ok("api", "can be listened on").about(address),
        Err(error) => Finding::warning(
            "api",
            format!("{}; an agent would run without its API", chain(&error)),
            "end the program that listens there (`sudo ss -ltnp`), or change api.listen or api.token",
        ),
    }
}

/// The finding about the MQTT broker; `None` if none is configured.
pub(in crate::cli::check) async fn broker(config: &Config) -> Option<Finding> {
    let name = config.mqtt.url.as_ref()?.to_string();
    let advice = "check mqtt.url, and the user and password in mqtt.credential";
    Some(match try_broker(&config.mqtt).await {
        Ok(()) => Finding::ok("mqtt", "the broker accepts the connection").about(name),
        Err(error) => Finding::warning("mqtt", chain(&error), advice).about(name),
    })
}
