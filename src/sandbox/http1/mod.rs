//! A minimal HTTP/1.1 server connection, with the features of the real trickle server.
//!
//! hyper's server cannot send a spontaneous `100 Continue`, or answer before a body ends and then choose when to
//! close; the real trickle server does both (tests/fixtures/trickle-transcripts.txt).
//!
//! Does not: know routes, trickle or TLS.

mod answer;
mod body;
mod head;
pub(crate) mod io;

pub(crate) use answer::Answer;
pub(crate) use body::BodyReader;
pub(crate) use head::Head;
