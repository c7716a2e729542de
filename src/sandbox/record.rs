//! Records the last requests to the sandbox and control messages, and counts events since the start.
//!
//! Does not: show secrets; `Debug` prints the names of headers without their values.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::{Endpoint, Role};

/// Maximum number of requests kept; the oldest is dropped first.
const REQUESTS: usize = 1024;
/// Maximum number of control messages kept.
const CONTROLS: usize = 256;

/// Maximum number of bytes kept of a body.
const BODY: usize = 64 << 10;

/// The subject of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `GetOrchestrator`.
    Info,
    /// The start of a live video job.
    Start,
    /// Another call, to the orchestrator or the signer.
    Call(Endpoint),
    /// The creation or deletion of a channel.
    Channel(Role),
    /// A segment of a channel, with the index in the path: a seq, `-1`, `-2`, or `next`.
    Segment(Role, String),
    /// A path or method that the sandbox does not serve.
    Other,
}

/// A received request.
#[derive(Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The subject of the request.
    pub target: Target,
    /// The first 64 KiB of the body of a start, a call or `GetOrchestrator`; empty for other requests.
    pub body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header; the case of `name` does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "{} {:?} {names:?}", self.method, self.target)
    }
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Requests read.
    pub requests: u64,
    /// Jobs started.
    pub jobs: u64,
    /// Runner sessions reserved, including those of single-shot runners.
    pub reserved: u64,
    /// Runner sessions stopped by the gateway.
    pub stopped: u64,
    /// Segments that arrived complete on the publish channels of jobs.
    pub segments: u64,
    /// Segments that broke off on the publish channels of jobs.
    pub truncated: u64,
    /// Bytes of complete and truncated segments.
    pub bytes: u64,
    /// Access units of video in these segments.
    pub access_units: u64,
    /// Access units that the network's runner would drop: above 24 frames/s, or after timestamps went back.
    pub dropped: u64,
    /// Segments written to output channels.
    pub outputs: u64,
    /// Events sent.
    pub events: u64,
    /// Parameter updates received.
    pub updates: u64,
    /// Control keep-alives received.
    pub keep_alives: u64,
    /// `100 Continue` sent to waiting publishers.
    pub continues: u64,
}

/// The last frame that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestFrame {
    /// When the frame arrived.
    pub at: Instant,
    /// The PTS of the frame, in ticks of 90 kHz.
    pub pts: u64,
}

/// The last requests and control messages, and the counters.
#[derive(Debug, Default)]
pub struct Record {
    requests: VecDeque<Request>,
    controls: VecDeque<String>,
    /// Counters since the start.
    pub counters: Counters,
    /// The last frame of any job.
    pub newest: Option<NewestFrame>,
}

impl Record {
    /// The last requests, oldest first; at most 1024.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter()
    }

    /// The last control messages as received, oldest first; at most 256.
    pub fn controls(&self) -> impl Iterator<Item = &str> {
        self.controls.iter().map(String::as_str)
    }

    pub(crate) fn add(&mut self, mut request: Request) {
        self.counters.requests += 1;
        request.body.truncate(BODY);
        if self.requests.len() == REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    /// Stores the body of the last start of a job, which is recorded before its body has arrived.
    pub(crate) fn add_start_body(&mut self, body: &[u8]) {
        let start = self.requests.iter_mut().rev().find(|r| r.target == Target::Start);
        if let Some(request) = start {
            request.body = body.get(..BODY).unwrap_or(body).to_vec();
        }
    }

    pub(crate) fn add_control(&mut self, message: String) {
        if self.controls.len() == CONTROLS {
            self.controls.pop_front();
        }
        self.controls.push_back(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_bounded_and_shows_no_secrets() {
        let mut record = Record::default();
        for _ in 0..REQUESTS + 10 {
            record.add(Request {
                method: "POST".to_owned(),
                target: Target::Start,
                body: Vec::new(),
                headers: vec![("Livepeer-Payment".to_owned(), "hunter2".to_owned())],
            });
        }
        assert_eq!(record.requests().count(), REQUESTS);
        assert_eq!(record.counters.requests, REQUESTS as u64 + 10);
        let request = record.requests().next().unwrap();
        assert_eq!(request.header("livepeer-payment"), Some("hunter2"));
        assert!(!format!("{record:?}").contains("hunter2"));
        (0..CONTROLS + 1).for_each(|i| record.add_control(i.to_string()));
        assert_eq!(record.controls().next(), Some("1"));
    }
}
