//! The last connector in ureq's chain. It ends an answer that is not complete within [`ANSWER_TIME`] after its first
//! byte.
//!
//! An answer may take long to begin, while a model loads, so a call's own time limit is long. A peer must not use that
//! time to send the answer byte by byte.
//!
//! Does not: limit the time until the answer begins; the call does.

use std::fmt;
use std::time::Instant;

use ureq::Timeout;
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as Link, NextTimeout, Transport,
};

use crate::limits::ANSWER_TIME;

/// ureq's error for an answer that took too long after its first byte.
pub(super) const TOO_SLOW: Timeout = Timeout::PerRead;

/// The connector that wraps each connection in a [`PacedTransport`].
#[derive(Debug)]
pub(super) struct PaceLink;

impl<In: Transport> Link<In> for PaceLink {
    type Out = PacedTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(|transport| PacedTransport { transport, began: None }))
    }
}

/// A connection with a time limit for each answer.
pub(super) struct PacedTransport<T> {
    transport: T,
    /// When the first byte of the current answer came.
    began: Option<Instant>,
}

impl<T> fmt::Debug for PacedTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paced").field("began", &self.began).finish_non_exhaustive()
    }
}

impl<T: Transport> Transport for PacedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.began = None;
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if let Some(began) = self.began {
            let left = Duration::Exact(ANSWER_TIME.saturating_sub(began.elapsed()));
            if left < timeout.after {
                (timeout.after, timeout.reason) = (left, TOO_SLOW);
            }
        }
        let came = self.transport.await_input(timeout)?;
        if came && self.began.is_none() {
            self.began = Some(Instant::now());
        }
        Ok(came)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}
