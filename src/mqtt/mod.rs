//! Publishes the agent's state, statistics, events and pictures to an MQTT broker, and takes commands from it.
//!
//! ```text
//!  status ──▶ Outbox ──▶ Session ──▶ codec ──▶ connection ──▶ broker ──▶ Home Assistant
//!  commands ◀────────── Session ◀── Frames ◀── connection ◀── broker
//! ```
//!
//! | topic | content | retained |
//! |---|---|---|
//! | `PREFIX/status` | `online`, or `offline` as the last will | yes |
//! | `PREFIX/report` | the report of the status as JSON: at each change of a state, and every 60 s | yes |
//! | `PREFIX/event` | each event as JSON | no |
//! | `PREFIX/picture` | a picture as JPEG, if `mqtt.picture-every` is set | no |
//! | `PREFIX/params` | the parameters and where they are, if `mqtt.commands` is set | yes |
//! | `PREFIX/set`, `PREFIX/…/set` | commands to the agent, if `mqtt.commands` is set | ignored |
//! | `PREFIX/answer` | the answer to each command | no |
//! | `DISCOVERY/device/ID/config` | the device and its entities, for Home Assistant | yes |
//!
//! MQTT 3.1.1, with a session that ends with its connection. Everything but pictures is published with quality of
//! service 1. A broker that hangs, floods or is down costs a bounded amount of memory and time, and nothing else waits
//! for it. Events wait in the ring of their subscription until there is room for them, also between two connections; of more than
//! fit, the oldest are dropped, and an event in their place counts them.
//!
//! Does not: run without `mqtt.url`, keep other messages for the time after a reconnect (the present state is published
//! then), or take commands unless the configuration allows it: everyone who may publish at the broker could spend money.

mod allowance;
mod commands;
mod discovery;
mod error;
mod frames;
mod io;
pub mod limits;
mod options;
mod outbox;
mod session;
mod topics;

pub(crate) use io::try_broker;
pub use io::{Mqtt, Sources};
pub use limits::Times;
pub use options::{BrokerUrl, Options};
pub(crate) use options::{checked_discovery_prefix, checked_prefix};
