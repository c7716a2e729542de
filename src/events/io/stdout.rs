//! Writes events to standard output, one a line.
//!
//! A reader that stalls holds up this sink alone.
//!
//! Does not: write again after standard output was closed.

use std::io::{self, Write};

use super::sinks::Sink;
use crate::events::Event;
use crate::events::io::Subscription;

/// Standard output.
#[derive(Debug)]
pub(super) struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, event: &Event, _subscription: &Subscription) -> bool {
        let line = format!("{}\n", event.line());
        let mut out = io::stdout().lock();
        match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => true,
            Err(error) => {
                log::warn!("no more events on standard output: {error}");
                false
            }
        }
    }
}
