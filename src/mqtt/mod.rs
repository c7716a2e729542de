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
//! | `DISCOVERY/device/ID/config` | the device and its entities, for Home Assistant | yes |
//!
//! MQTT 3.1.1, with a session that ends with its connection. State is published with quality of service 1. A broker that
//! hangs, floods or is down costs a bounded amount of memory and time, and nothing else waits for it.
//!
//! Does not: run without `mqtt.url`, or keep messages for the time after a reconnect: the present state is published then.

mod allowance;
mod discovery;
mod error;
mod frames;
mod io;
pub mod limits;
mod options;
mod outbox;
mod session;
mod topics;

pub use io::{Mqtt, Sources};
pub use limits::Times;
pub use options::{BrokerUrl, Options};
pub(crate) use options::{checked_discovery_prefix, checked_prefix};
