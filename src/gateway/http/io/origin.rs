//! A connector in ureq's chain that records the zone of the peer that answered.
//!
//! ureq does not report which connection a call used, and it reuses connections although names may change their
//! addresses. So each connection stores its zone, and reports it to the thread that reads from the connection. The
//! report is a thread-local, because ureq passes nothing from a connection to its caller; it is exact, because ureq
//! makes the whole call on the calling thread.
//!
//! ureq tries the addresses of a name in turn and does not report which one it used. The farthest zone of these addresses
//! is stored, which gives a peer the fewest rights.
//!
//! Does not: refuse addresses; the resolver in `agents` does.

use std::cell::Cell;
use std::fmt;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as Link, NextTimeout, Transport,
};

use crate::http::Zone;

thread_local! {
    static READ_FROM: Cell<Option<Zone>> = const { Cell::new(None) };
}

/// Runs `call` on this thread. Returns its result and the zone of the peer that sent the last byte; [`Zone::Public`]
/// without a byte.
pub(super) fn with_origin<T>(call: impl FnOnce() -> T) -> (T, Zone) {
    READ_FROM.set(None);
    let result = call();
    (result, READ_FROM.take().unwrap_or(Zone::Public))
}

/// The connector that wraps each connection in a [`ZonedTransport`].
#[derive(Debug)]
pub(super) struct OriginLink;

impl<In: Transport> Link<In> for OriginLink {
    type Out = ZonedTransport<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let zones = details.addrs.iter().map(|address| Zone::of(address.ip()));
        let zone = zones.max().unwrap_or(Zone::Public);
        Ok(chained.map(|transport| ZonedTransport { transport, zone }))
    }
}

/// A connection with the zone of its peer.
pub(super) struct ZonedTransport<T> {
    transport: T,
    zone: Zone,
}

impl<T> fmt::Debug for ZonedTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placed").field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl<T: Transport> Transport for ZonedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let came = self.transport.await_input(timeout)?;
        READ_FROM.set(Some(self.zone));
        Ok(came)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}
