//! Sets the options of a connection's socket: small buffers in the kernel, and keepalive to notice a lost peer.
//!
//! Best effort: old and unusual kernels (gVisor, WSL 1, vendor kernels) refuse some of these options. A connection works
//! without them, so a refusal is logged once per option, at debug, and is not an error.
//!
//! Does not: fail if the kernel refuses an option.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::http::io::congestion;

/// Maximum unsent bytes in the kernel for a connection (`TCP_NOTSENT_LOWAT`). Media beyond it waits in the media queue,
/// where it can be dropped when it is old. 16 KiB hold one key frame at 1 Mbit/s, or half a second of video at
/// 250 kbit/s.
const UNSENT: u32 = 16 << 10;
/// Keepalive: the first probe is sent after this idle time, and further ones every [`ALIVE_EVERY`]. After
/// [`ALIVE_TRIES`] unanswered probes the connection breaks.
const ALIVE_AFTER: Duration = Duration::from_secs(4);
/// See [`ALIVE_AFTER`].
const ALIVE_EVERY: Duration = Duration::from_secs(2);
/// See [`ALIVE_AFTER`].
const ALIVE_TRIES: u32 = 3;

/// Sets socket options, and remembers which ones the kernel refused, so that each refusal is logged once.
#[derive(Debug, Default)]
pub(super) struct Tuning {
    refused: Mutex<BTreeSet<&'static str>>,
}

impl Tuning {
    /// Call before connecting, because the TCP handshake depends on the buffers. Sets a send buffer of `bytes`, so that
    /// media waits in our own queue, where it is counted and can be dropped.
    pub(super) fn before_connect(&self, socket: &SockRef<'_>, bytes: u32) {
        self.attempt("SO_SNDBUF", socket.set_send_buffer_size(bytes as usize));
    }

    /// Call after connecting.
    pub(super) fn connected(&self, socket: &SockRef<'_>) {
        self.attempt("TCP_NODELAY", socket.set_tcp_nodelay(true));
        self.attempt("TCP_NOTSENT_LOWAT", socket.set_tcp_notsent_lowat(UNSENT));
        self.attempt("TCP_CONGESTION", congestion::choose(socket));
        let alive = TcpKeepalive::new().with_time(ALIVE_AFTER).with_interval(ALIVE_EVERY);
        let alive = socket.set_tcp_keepalive(&alive.with_retries(ALIVE_TRIES));
        self.attempt("SO_KEEPALIVE", alive);
    }

    fn attempt(&self, option: &'static str, result: io::Result<()>) {
        let Err(error) = result else { return };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.insert(option) {
            log::debug!("this kernel refuses {option} ({error}); connections are made without it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn refused_options_are_not_errors() {
        // A Unix socket refuses all options of TCP.
        let (socket, _peer) = UnixStream::pair().unwrap();
        let (tuning, socket) = (Tuning::default(), SockRef::from(&socket));
        for _ in 0..2 {
            tuning.before_connect(&socket, 1 << 16);
            tuning.connected(&socket);
        }
        let refused = tuning.refused.into_inner().unwrap();
        let tcp = ["SO_KEEPALIVE", "TCP_CONGESTION", "TCP_NODELAY", "TCP_NOTSENT_LOWAT"];
        assert_eq!(refused.into_iter().collect::<Vec<_>>(), tcp);
    }
}
