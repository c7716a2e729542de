//! A small HTTP/1.1 server side: exactly what the trickle server of the network needs, and no more.
//!
//! hyper's server cannot send an unasked `100 Continue`, nor answer before a body ends and then choose
//! when to close; the real trickle server does both (tests/fixtures/trickle-transcripts.txt).
//!
//! Does not: know routes, trickle or TLS.

mod answer;
mod body;
mod head;
pub(crate) mod io;

pub(crate) use answer::Answer;
pub(crate) use body::BodyReader;
pub(crate) use head::Head;
