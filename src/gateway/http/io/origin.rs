//! The link of ureq's chain that knows where an answer comes from.
//!
//! ureq does not say over which connection it made a call, and keeps connections while names move. So each connection
//! remembers its zone, and reports it to the thread that reads from it: ureq makes a call from beginning to end on the
//! thread that asks for it.
//!
//! ureq tries the addresses of a name in turn, and does not say which one it took: the farthest of them counts, which
//! gives a peer the fewest rights.
//!
//! Does not: refuse addresses; ureq is not given those that it must not take.

use std::cell::Cell;
use std::fmt;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as Link, NextTimeout, Transport,
};

use crate::http::Zone;

thread_local! {
    static READ_FROM: Cell<Option<Zone>> = const { Cell::new(None) };
}

/// Makes a call by `call`; its result with where the last byte came from. Without any byte that is the Internet.
pub(super) fn with_origin<T>(call: impl FnOnce() -> T) -> (T, Zone) {
    READ_FROM.set(None);
    let result = call();
    (result, READ_FROM.take().unwrap_or(Zone::Public))
}

/// The link.
#[derive(Debug)]
pub(super) struct OriginLink;

impl<In: Transport> Link<In> for OriginLink {
    type Out = Placed<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let zones = details.addrs.iter().map(|address| Zone::of(address.ip()));
        let zone = zones.max().unwrap_or(Zone::Public);
        Ok(chained.map(|transport| Placed { transport, zone }))
    }
}

/// A connection that knows its zone.
pub(super) struct Placed<T> {
    transport: T,
    zone: Zone,
}

impl<T> fmt::Debug for Placed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placed").field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl<T: Transport> Transport for Placed<T> {
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
