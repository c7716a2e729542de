//! Opens the configured sinks of events, each on a thread of its own, and closes them in a bounded time.
//!
//! Does not: know how a sink writes.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::bus::Closer;
use super::file::EventFile;
use super::hook::{Hook, RunningProgram};
use super::stdout::Stdout;
use super::webhook::Webhook;
use crate::events::io::Subscription;
use crate::events::{Bus, Event, Options, Types};
use livepeer_gateway::http::io::Client;
use resilience::fault::chain;

/// The time that the sinks get at the end for the events that wait.
pub(super) const END_TIME: Duration = Duration::from_millis(500);
/// The time for the thread of a program that was killed.
const KILL_TIME: Duration = Duration::from_millis(200);

/// Where events are written.
pub(super) trait Sink: Send + 'static {
    /// Writes `event`, which may block. Returns false if nothing can be written any more. `subscription` shows whether
    /// the sink is being closed.
    fn write(&mut self, event: &Event, subscription: &Subscription) -> bool;
}

/// The open sinks. Call [`Sinks::close`] at the end.
#[derive(Debug, Default)]
pub struct Sinks(Vec<OpenSink>);

#[derive(Debug)]
struct OpenSink {
    closer: Closer,
    /// Disconnected when the sink's thread has ended.
    ended: Receiver<()>,
    /// The program that the sink runs, if any.
    running: Option<RunningProgram>,
}

impl Sinks {
    /// Opens the sinks for the events that `bus` publishes from now on. `client` posts to the web server. A sink that cannot
    /// be opened is left out, with a warning.
    pub fn open(options: &Options, bus: &Bus, client: &Client) -> Self {
        let mut sinks = Self::default();
        if let Some(types) = &options.stdout {
            sinks.start("events.stdout", Stdout, types, bus, None);
        }
        if let Some(file) = &options.file {
            sinks.start("events.file", EventFile::new(file.clone()), &file.types, bus, None);
        }
        if let Some(options) = &options.hook {
            let hook = Hook::new(options.clone(), bus.instance());
            let running = hook.running();
            sinks.start("events.exec", hook, &options.types, bus, Some(running));
        }
        if let Some(options) = &options.webhook {
            match Webhook::new(options.clone(), client.clone()) {
                Ok(webhook) => {
                    sinks.start("events.webhook", webhook, &options.types, bus, None);
                }
                Err(error) => log::warn!("events.webhook is not used: {}", chain(&error)),
            }
        }
        sinks
    }

    fn start(
        &mut self,
        key: &'static str,
        sink: impl Sink,
        types: &Types,
        bus: &Bus,
        running: Option<RunningProgram>,
    ) {
        let subscription = bus.subscribe();
        let closer = subscription.closer();
        let (alive, ended) = sync_channel(1);
        let types = types.clone();
        let run = move || run(subscription, sink, &types, alive);
        match thread::Builder::new().name(key.into()).spawn(run) {
            Ok(_) => self.0.push(OpenSink { closer, ended, running }),
            Err(error) => log::warn!("{key} is not used: no thread: {error}"),
        }
    }

    /// Sends no further events to the sinks.
    pub fn end(&self) {
        self.0.iter().for_each(|sink| sink.closer.close());
    }

    /// Ends the sinks, after the events that wait or after half a second. Kills a program that still runs. Blocks.
    pub fn close(self) {
        self.end();
        let by = Instant::now() + END_TIME;
        for sink in &self.0 {
            let left = by.saturating_duration_since(Instant::now());
            if !sink.has_ended(left)
                && let Some(running) = &sink.running
            {
                running.end();
                sink.has_ended(KILL_TIME);
            }
        }
    }
}

impl OpenSink {
    /// Waits for the end of the sink's thread, for this time at most.
    fn has_ended(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    }
}

/// Writes events until the subscription ends or the sink does. `_alive` is dropped at the end.
fn run(mut subscription: Subscription, mut sink: impl Sink, types: &Types, _alive: SyncSender<()>) {
    while let Some(event) = subscription.next_blocking() {
        if types.contain(event.kind()) && !sink.write(&event, &subscription) {
            return;
        }
    }
}
