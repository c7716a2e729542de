//! How the kernel decides how fast to send on a connection: by BBR, where it has it.
//!
//! BBR goes by what arrives, and takes no chance loss for a full link. What it was made for is one long stream, so
//! that it needs help with segments that take turns on connections:
//!
//! | BBR | here |
//! |---|---|
//! | takes what it once measured for the link, after a rest too | it forgets that before each segment |
//! | stands still for half a second or more, every 10 s, to see how short a round trip can be | forgetting puts that off: a segment is shorter |
//! | has not seen enough after the last packets of a segment were lost, and goes on at a tenth of the link | it forgets that too |
//!
//! Does not: change connections where the kernel has no BBR; its own choice holds there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use socket2::SockRef;

use crate::http::io::Stream;

const BBR: &[u8] = b"bbr";
/// What every kernel has. Only to have BBR start over, which it does when it is chosen and was not before.
const RENO: &[u8] = b"reno";

/// Makes a new connection send by BBR; an error if the kernel does not have it.
pub(super) fn choose(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_congestion(BBR)
}

/// A hold on a connection that carries one segment after the other. The socket is closed when it and the connection
/// are dropped.
#[derive(Debug)]
pub struct Congestion(OwnedFd);

impl Congestion {
    /// A hold on `stream`.
    pub(crate) fn of(stream: &Stream) -> io::Result<Self> {
        Ok(Self(stream.tcp().as_fd().try_clone_to_owned()?))
    }

    /// What was measured on this connection counts no more. For one on which nothing is under way.
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
        let stream = Stream::Plain(tcp);
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
