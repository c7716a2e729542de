//! Sends MPEG-TS in UDP datagrams of seven packets, as receivers expect it.
//!
//! If the host answers that nothing listens on the port, the output has no reader. A multicast address gives no such
//! answer.
//!
//! Does not: pace the datagrams; video is sent as it comes.

use std::io::{self, ErrorKind};
use std::net::{ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::thread;

use super::target::TURN;
use crate::MediaError;
use mpegts::PACKET;

/// The bytes of one datagram: as many packets as an Ethernet frame holds.
const DATAGRAM: usize = 7 * PACKET;

/// A socket that is connected to one receiver.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: UdpSocket,
    /// The host and port, for errors.
    place: String,
}

impl Datagrams {
    /// Looks up the host, which may block, and opens a socket.
    pub(super) fn open(place: &str) -> Result<Self, MediaError> {
        let failed = |error: io::Error| MediaError::writing(&PathBuf::from(place), &error);
        let address = place
            .to_socket_addrs()
            .map_err(failed)?
            .next()
            .ok_or_else(|| failed(ErrorKind::NotFound.into()))?;
        let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(own).map_err(failed)?;
        socket.connect(address).map_err(failed)?;
        Ok(Self { socket, place: place.to_owned() })
    }

    /// Sends `bytes`, which are whole packets.
    pub(super) fn write(&self, bytes: &[u8], is_left: impl Fn() -> bool) -> Result<(), MediaError> {
        for datagram in bytes.chunks(DATAGRAM) {
            loop {
                match self.socket.send(datagram) {
                    Ok(_) => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // The network device's queue is full.
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && !is_left() => {
                        thread::sleep(TURN);
                    }
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                        return Err(MediaError::NoReader(PathBuf::from(&self.place)));
                    }
                    Err(error) => {
                        return Err(MediaError::writing(&PathBuf::from(&self.place), &error));
                    }
                }
            }
        }
        Ok(())
    }
}
