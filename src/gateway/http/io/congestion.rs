//! Sets the congestion control of a connection to BBR, where the kernel has it.
//!
//! BBR sends at the measured delivery rate, so random loss does not slow it down. BBR is made for one long stream, but
//! segments take turns on connections. So its state is reset before each segment:
//!
//! | BBR without the reset | with it |
//! |---|---|
//! | uses its old estimate of the capacity, also after a pause | measures the capacity again |
//! | pauses for half a second or more every 10 s, to measure the shortest round trip | does not pause: a segment is shorter than 10 s |
//! | after loss of a segment's last packets, continues at a tenth of the capacity for lack of samples | measures the capacity again |
//!
//! Does not: change connections where the kernel has no BBR; they keep the kernel's default.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use socket2::SockRef;

use crate::http::io::MaybeTlsStream;

const BBR: &[u8] = b"bbr";
/// Available in every kernel. Switching to Reno and back resets BBR's state.
const RENO: &[u8] = b"reno";

/// Sets BBR on a connection; an error if the kernel does not have it.
pub(super) fn choose(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_congestion(BBR)
}

/// The congestion control of one connection. The socket closes only after this and the connection are both dropped.
#[derive(Debug)]
pub struct Congestion(OwnedFd);

impl Congestion {
    /// The congestion control of `stream`.
    pub(crate) fn of(stream: &MaybeTlsStream) -> io::Result<Self> {
        Ok(Self(stream.tcp().as_fd().try_clone_to_owned()?))
    }

    /// Resets BBR's path model. Call only while no data is in flight.
    pub(crate) fn forget(&self) -> io::Result<()> {
        let socket = SockRef::from(&self.0);
        if socket.tcp_congestion()?.starts_with(BBR) {
            socket.set_tcp_congestion(RENO)?;
            socket.set_tcp_congestion(BBR)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bbr_is_chosen_again_and_others_are_left_alone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _ = choose(&SockRef::from(&tcp));
        let stream = MaybeTlsStream::Plain(tcp);
        let socket = SockRef::from(stream.tcp());
        let congestion = Congestion::of(&stream).unwrap();
        let chosen = socket.tcp_congestion().unwrap();
        congestion.forget().unwrap();
        assert_eq!(socket.tcp_congestion().unwrap(), chosen);
        socket.set_tcp_congestion(RENO).unwrap();
        congestion.forget().unwrap();
        assert!(socket.tcp_congestion().unwrap().starts_with(RENO));
    }
}
