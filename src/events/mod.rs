//! Events of the agent and of its model, for programs: one JSON object each, published on a [`Bus`].
//!
//! ```text
//!  agent's loop ─┐                    ┌─ ring ─▶ stdout, file, hook, webhook (a thread each)
//!  model         ├─▶ Kind ─▶ Bus ─────┼─ ring ─▶ viewers of the API
//!  configuration ┘                    └─ ring ─▶ …
//! ```
//!
//! A subscriber that is too slow loses the oldest of its events, and gets [`Kind::EventsLost`] in their place. Without
//! a subscriber no event is made. [`TYPES`] is the list of events for the user.
//!
//! Does not: keep events for a later subscriber, or log; the publishers log by themselves.

mod event;
mod foreign;
mod io;
mod kind;
mod options;
mod post;
mod ring;
mod rotation;

pub use event::Event;
pub use foreign::bounded;
pub use io::{Bus, Sinks, Subscription};
pub use kind::{Kind, MODEL, TYPES, Type};
pub use options::{FileOptions, HookOptions, Options, Types, WebhookOptions};
pub use ring::{WAITING, WAITING_BYTES};
