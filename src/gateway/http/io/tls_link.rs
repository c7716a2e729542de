//! A connector in ureq's chain that adds TLS with this crate's own verifier.
//!
//! ureq's TLS settings do not accept a custom verifier, so TLS is a connector in ureq's chain. The API of connectors is
//! in ureq's `unversioned` module, so `Cargo.toml` fixes ureq's version.
//!
//! Does not: judge certificates.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as Link, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::http::WallClock;
use crate::http::io::agents::{BUFFER, UrlRights};
use crate::http::io::{Alpn, ConnectError, Connector};

/// The connector that adds TLS to connections of `https` URLs.
#[derive(Debug)]
pub(super) struct TlsLink {
    pub(super) connector: Arc<Connector>,
    pub(super) right: UrlRights,
}

impl<In: Transport> Link<In> for TlsLink {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let carry = |error: ConnectError| ureq::Error::Io(io::Error::other(error));
        let url = self.right.url(details.uri)?;
        let peer = url.authority();
        let clock = Arc::clone(self.connector.clock());
        let epoch = clock.epoch();
        let (config, name) = self.connector.tls().of(&url, Alpn::Http1).map_err(carry)?;
        let mut tls = ClientConnection::new(config, name)
            .map_err(|error| carry(ConnectError::Tls(peer.clone(), error.to_string())))?;
        let mut socket =
            TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)
                .map_err(|error| carry(ConnectError::from_tls(peer, Alpn::Http1, error)))?;
        }
        let buffers = LazyBuffers::new(BUFFER, BUFFER);
        let stream = StreamOwned::new(tls, socket);
        Ok(Some(Either::B(TlsTransport { buffers, stream, clock, epoch })))
    }
}

pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    clock: Arc<WallClock>,
    /// The epoch in which the certificate was verified.
    epoch: u64,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Reuse the connection only if trust has not changed since its certificate was verified.
        self.epoch == self.clock.epoch() && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
