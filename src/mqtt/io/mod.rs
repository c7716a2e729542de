//! Connects to the broker again and again, with a growing pause, and follows changes of the options.
//!
//! Does not: have a thread of its own; it runs on the agent's thread, which never waits for the broker.

mod connection;
mod picturing;
mod steering;
mod trial;
mod wire;

use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::error::BrokerError;
use super::limits::{FIRST_PAUSE, LASTING, LONGEST_PAUSE};
use super::topics::Topics;
use super::{BrokerUrl, Options, Times};
use crate::agent::Control;
use crate::api::Pictures;
use crate::events::{Bus, Subscription};
use crate::status::Status;
use connection::Connection;
use livepeer_gateway::http::io::{Alpn, Connector, MaybeTlsStream, service_connector};
use livepeer_gateway::http::{WallClock, Zone};
use resilience::backoff::{Backoff, jitter};
use resilience::fault::chain;
use resilience::log_throttle::ThrottledLog;
use resilience::secret::Secret;
use resilience::secret::io::read;
pub(crate) use trial::try_broker;

/// What is published of the agent, and what steers it.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The agent's state.
    pub status: Status,
    /// What happens.
    pub events: Bus,
    /// Pictures of both streams.
    pub pictures: Pictures,
    /// Steers the agent.
    pub control: Control,
    /// What certificates show about this machine's clock.
    pub clock: Arc<WallClock>,
}

/// Something that goes on beside the connection.
type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The MQTT client of one agent. Call [`Mqtt::run`] beside the agent.
#[derive(Debug)]
pub struct Mqtt {
    options: watch::Receiver<Options>,
    sources: Sources,
    times: Times,
    /// The events from the beginning on, for the first client.
    events: Option<Subscription>,
}

impl Mqtt {
    /// A client with the options that `options` has; it follows their changes.
    pub fn new(options: watch::Receiver<Options>, sources: Sources) -> Self {
        let is_used = options.borrow().url.is_some();
        let events = is_used.then(|| sources.events.subscribe());
        Self { options, sources, times: Times::default(), events }
    }

    /// The same client with other times, for tests.
    #[must_use]
    pub fn with_times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// Runs until it is dropped, which makes the broker publish the last will.
    pub async fn run(mut self) -> Infallible {
        loop {
            let options = self.options.borrow_and_update().clone();
            let mut changed = self.options.clone();
            let client = Client { options: &options, sources: &self.sources, times: self.times };
            let mut running = pin!(client.run(&mut self.events));
            tokio::select! {
                never = &mut running => match never {},
                // Without a sender, the options never change again.
                changed = changed.changed() => if changed.is_err() {
                    match running.await {}
                },
            }
        }
    }
}

/// The client with its present options.
#[derive(Clone, Copy)]
struct Client<'a> {
    options: &'a Options,
    sources: &'a Sources,
    times: Times,
}

impl Client<'_> {
    /// `events` is the subscription of the client before it, which this one keeps.
    async fn run(self, events: &mut Option<Subscription>) -> Infallible {
        let Some(broker) = &self.options.url else {
            *events = None;
            return pending().await;
        };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut failing = ThrottledLog::new(module_path!(), format!("{broker}: connected again"));
        let mut connector = None;
        // Events that happen between two connections are published by the next one.
        let events = events.get_or_insert_with(|| self.sources.events.subscribe());
        loop {
            let mut opened = None;
            let error =
                self.connect(broker, &mut connector, &mut opened, &mut failing, events).await;
            let now = Instant::now();
            // An error of a connection names the broker itself.
            let error = if let BrokerError::Connect(error) = &error {
                chain(error)
            } else {
                format!("{broker}: {}", chain(&error))
            };
            failing.on_failure(&format!("MQTT: {error}"), now);
            if opened.is_some_and(|opened| now.duration_since(opened) >= LASTING) {
                backoff.on_success();
            }
            tokio::time::sleep(backoff.on_failure(jitter())).await;
        }
    }

    /// One connection, until it ends. Sets when the broker accepted it.
    async fn connect(
        &self,
        broker: &BrokerUrl,
        connector: &mut Option<Connector>,
        opened: &mut Option<Instant>,
        failing: &mut ThrottledLog,
        events: &mut Subscription,
    ) -> BrokerError {
        match self.open(broker, connector).await {
            Ok(connection) => {
                let on_open = || {
                    let now = Instant::now();
                    *opened = Some(now);
                    if !failing.on_success(now) {
                        log::info!("{broker}: connected");
                    }
                };
                match connection.run(on_open, events).await {
                    Ok(never) => match never {},
                    Err(error) => error,
                }
            }
            Err(error) => error,
        }
    }

    async fn open(
        &self,
        broker: &BrokerUrl,
        kept: &mut Option<Connector>,
    ) -> Result<Connection<'_>, BrokerError> {
        let topics = Topics::new(self.options, &self.sources.status.identity().instance)?;
        let (stream, credential) =
            open_stream(self.options, &self.sources.clock, broker, kept).await?;
        Connection::new(stream, *self, topics, credential.as_ref())
    }
}

/// A stream to the broker, and the credential for it.
async fn open_stream(
    options: &Options,
    clock: &Arc<WallClock>,
    broker: &BrokerUrl,
    kept: &mut Option<Connector>,
) -> Result<(MaybeTlsStream, Option<Secret>), BrokerError> {
    let credential = options.credential.as_ref().map(read).transpose();
    let credential = credential.map_err(BrokerError::Credential)?;
    let connector = match kept.take() {
        Some(connector) => connector,
        None => {
            let (trust, clock) = (options.trust(broker), Arc::clone(clock));
            service_connector(trust, clock).map_err(BrokerError::Authorities)?
        }
    };
    let connector = kept.insert(connector);
    let stream = connector.connect(&broker.0, Alpn::Nothing).await?;
    judge(options, broker, &stream)?;
    Ok((stream, credential))
}

/// Refuses a connection without TLS to the Internet, before anything is sent on it.
fn judge(
    options: &Options,
    broker: &BrokerUrl,
    stream: &MaybeTlsStream,
) -> Result<(), BrokerError> {
    if broker.has_tls() || stream.zone() != Zone::Public {
        return Ok(());
    }
    if !options.allow_plain {
        return Err(BrokerError::Public);
    }
    log::warn!(
        "{broker} is on the Internet, and the connection has no TLS: everyone on the path can read the password, watch and send commands"
    );
    Ok(())
}
