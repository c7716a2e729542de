//! The bounds that several modules of this crate share: lengths of queues, time limits, sizes.
//!
//! Each constant names the source of its number. The part that owns a queue decides what happens when the bound is
//! reached, and counts it. A bound of one module is a constant of that module.
//!
//! Does not: hold defaults; those belong to the options of each feature.

use std::time::Duration;

/// Pieces in the body of one POST that the transport has not taken yet. The limit is 1, so that media waits only in the
/// bounded queue before the POST.
pub const POST_PIECES: usize = 1;
/// Segments in flight before the orchestrator counts as too slow (go-livepeer `ai_live_video.go`).
pub const SEGMENTS_IN_FLIGHT: usize = 3;
/// Segments that the trickle server keeps (go-livepeer `trickle/`).
pub const SEGMENTS_KEPT: u64 = 5;
/// Events that may wait for the agent's loop.
pub const EVENTS: usize = 64;
/// Control messages that may wait for the control channel.
pub const CONTROL_MESSAGES: usize = 8;
/// The largest JSON body read from a peer.
pub const JSON_BODY: usize = 1 << 20;
/// The largest event read from an events channel.
pub const EVENT_BODY: usize = 256 << 10;
/// The largest gRPC message read from a peer. An `OrchestratorInfo` with 100 models is 10 KiB. Decoded it may take 20
/// times as much memory, and [`CANDIDATES_AT_ONCE`] of them are held at a time.
pub const GRPC_MESSAGE: usize = 256 << 10;
/// The largest response head read from a peer.
pub const RESPONSE_HEAD: usize = 32 << 10;
/// The largest segment read from a peer; a 2 s segment at 40 Mbit/s is 10 MB.
pub const SEGMENT_BODY: u64 = 64 << 20;
/// Name look-ups in progress, each on its own thread. The limit is higher than the number of peers in use at a time.
pub const LOOKUPS: usize = 16;
/// Addresses of a name that are tried.
pub const ADDRESSES: usize = 8;
/// Calls with short bodies in progress, each on its own thread: to the candidates that are asked together, the signer,
/// a discovery endpoint and the running job.
pub const CALLS: usize = CANDIDATES_AT_ONCE + 3;
/// Maximum number of peers for which the clock is doubted.
pub const DOUBTS: usize = CANDIDATES;
/// Certificates that stay pinned.
pub const PINS: usize = 256;
/// Pinned certificates of the hosts that one orchestrator names: four channels, a runner, and calls.
pub const PINS_UNDER: usize = 8;
/// Candidate orchestrators of one selection.
pub const CANDIDATES: usize = 64;
/// Candidates that are asked for their `OrchestratorInfo` at once (protocol.md, section 8).
pub const CANDIDATES_AT_ONCE: usize = 5;
/// Runners kept of one orchestrator in a discovery list.
pub const RUNNERS: usize = 64;
/// Capabilities kept of one orchestrator in a discovery list.
pub const CAPABILITIES: usize = 256;
/// The longest name of a model, app or GPU that is kept.
pub const NAME_BYTES: usize = 256;
/// Signers of one list.
pub const SIGNERS: usize = 8;
/// The largest payment or `state` of a signer. 100 tickets, the most in a payment, are about 20 KiB.
pub const PAYMENT_BYTES: usize = 256 << 10;
/// Time to resolve, connect and finish the TLS handshake.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time for a whole request and answer with a short body.
pub const CALL_TIME: Duration = Duration::from_secs(15);
/// Time for an answer with a short body from its first byte to its last. The time until the first byte has its own
/// limit.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Time for `POST /live-video-to-video`: the answer can take long while a model loads.
pub const JOB_START_TIME: Duration = Duration::from_secs(90);
