//! A name server for one name, whose answer can be changed or switched off.
//!
//! Does not: answer queries other than for an IPv4 address.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

/// The name that the server resolves.
pub(crate) const NAME: &str = "orchestrator.test";

/// A name server.
#[derive(Clone)]
pub(crate) struct Names(Arc<Mutex<Option<IpAddr>>>);

impl Names {
    /// Starts a name server at this address that answers with `answer`.
    pub(crate) fn new(at: IpAddr, answer: IpAddr) -> Self {
        let names = Self(Arc::new(Mutex::new(Some(answer))));
        let socket = UdpSocket::bind(SocketAddr::new(at, 53)).unwrap();
        let told = names.clone();
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let answer = *told.0.lock().unwrap();
                if let Some(answer) = answer {
                    // An error means that the client has closed its socket.
                    let _ = socket.send_to(&reply(&query[..length], answer), from);
                }
            }
        });
        names
    }

    /// Sets the answer to later queries; with `None` the server does not answer.
    pub(crate) fn say(&self, answer: Option<IpAddr>) {
        *self.0.lock().unwrap() = answer;
    }
}

/// The answer to a query of one question (RFC 1035): the address, or no record if another type is asked for.
fn reply(query: &[u8], answer: IpAddr) -> Vec<u8> {
    let Some(end) = query[12..].iter().position(|byte| *byte == 0) else { return Vec::new() };
    let question = &query[12..12 + end + 5];
    let is_v4 = question[end + 1..end + 3] == [0, 1];
    let IpAddr::V4(address) = answer else { return Vec::new() };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
    reply.extend(question);
    if is_v4 {
        // The name of the question, type A, class IN, valid for an hour, which is longer than any row.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}
