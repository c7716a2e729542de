//! A minimal HTTP/1.1 server connection, with the features of the real trickle server.
//!
//! The real trickle server sends `100 Continue` unasked, and answers before a body ends and then chooses when to close
//! (tests/fixtures/trickle-transcripts.txt). hyper's server cannot do either.
//!
//! Does not: know routes, trickle or TLS.

mod answer;
mod body;
mod head;
pub(crate) mod io;

pub(crate) use answer::Answer;
pub(crate) use body::BodyReader;
pub(crate) use head::Head;
