//! Events as server-sent events (WHATWG HTML, 9.2): one for each event, with its number as id and its JSON as data.
//!
//! A comment every [`EVENT_SILENCE`] lets the server notice a reader that has gone. A reader that is too slow loses the
//! oldest events, as every subscriber of the bus does.
//!
//! Does not: repeat events that came before the reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::api::limits::{EVENT_READERS, EVENT_SILENCE};
use crate::api::refusal::Refusal;
use crate::events::{Bus, Subscription};
use resilience::wait::AbortOnDrop;

/// Messages between the task of a reader and its connection.
const MESSAGES: usize = 4;

/// The events that clients read.
#[derive(Debug)]
pub(super) struct EventStreams {
    bus: Bus,
    readers: Arc<AtomicUsize>,
}

/// The events for one client. Dropping it ends them.
pub(super) struct EventStream {
    messages: mpsc::Receiver<Bytes>,
    readers: Arc<AtomicUsize>,
    _task: AbortOnDrop<()>,
}

impl EventStreams {
    pub(super) fn new(bus: Bus) -> Self {
        Self { bus, readers: Arc::default() }
    }

    /// The events from now on.
    pub(super) fn subscribe(&self) -> Result<EventStream, Refusal> {
        if self.readers.fetch_add(1, Ordering::Relaxed) >= EVENT_READERS {
            self.readers.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::EventReaders);
        }
        let (sender, messages) = mpsc::channel(MESSAGES);
        let task = AbortOnDrop::spawn(forward(self.bus.subscribe(), sender));
        Ok(EventStream { messages, readers: Arc::clone(&self.readers), _task: task })
    }
}

impl EventStream {
    /// Waits for the next message; `None` at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.messages.poll_recv(cx)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn forward(mut events: Subscription, messages: mpsc::Sender<Bytes>) {
    loop {
        let message = match timeout(EVENT_SILENCE, events.next()).await {
            Ok(Some(event)) => format!("id: {}\ndata: {}\n\n", event.number(), event.line()).into(),
            Ok(None) => return,
            Err(_) => Bytes::from_static(b":\n\n"),
        };
        if messages.send(message).await.is_err() {
            return;
        }
    }
}
