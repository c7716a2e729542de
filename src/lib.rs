//! livepeer-edge: an embedded gateway agent for the Livepeer network.
//!
//! It captures camera video with GStreamer, opens a live video job on an orchestrator, pushes the video
//! to the job's trickle channel, and brings the processed video and the events back. Keys and signatures
//! stay with a remote signer.
//!
//! # The picture
//!
//! ```text
//!            device                                    │            network
//!                                                      │
//!  camera ─▶ encoder ─▶ appsink                        │
//!                          │ access units              │
//!                          ▼                           │
//!               queue (drops to a key frame)           │
//!                          │                           │
//!                          ▼                           │
//!         segmenter ─▶ TS muxer ─▶ Piece ─▶ publisher ─┼─▶ POST publish/{seq} ─┐
//!                                                      │                       ▼
//!                 parameters ─▶ control publisher ─────┼─▶ POST control/{seq}  orchestrator
//!                 log, commands ◀─ events subscriber ◀─┼── GET  events/{seq}   │
//!  file, stdout ◀─ fan-out ◀────── output subscriber ◀─┼── GET  output/{seq} ◀─┘
//!                                                      │
//!        session: GetOrchestrator, job start, trust ───┼─▶ gRPC, HTTPS
//!                                       payments  ─────┼─▶ remote signer ─▶ orchestrator
//! ```
//!
//! # Where to start reading
//!
//! Follow one frame. Out: `media::io::capture` takes it from GStreamer's thread into `media::queue`;
//! `media::segmenter` decides where it stands, `media::ts::mux` packs it, and it leaves as a
//! [`segment::Piece`]; `trickle::publication` decides on the answers of the network,
//! `trickle::io::publisher` does what it says. Back: `trickle::io::subscriber`, told by
//! `trickle::subscription`, then `media::io::playback`. Above them `job` says what has to run, and
//! `agent` carries it out.
//!
//! # Code map
//!
//! Floors: a module imports from lower floors only, never sideways on F1. *Pure* files touch no socket,
//! file, thread, clock or GStreamer; only a file named `io.rs` or below `io/` does. `tests/tidy.rs` keeps
//! both.
//!
//! | floor | module | what it is | what always holds |
//! |---|---|---|---|
//! | F6 | `main` | arguments, configuration, logger, runtime, command, exit code | prints an error chain once |
//! | F5 | `cli` | a file for each command | exit codes: 0 done, 1 failed, 2 wrong usage or configuration |
//! | F5 | `sandbox` | an orchestrator and its echo app in one process (feature `sandbox`) | no other module uses it, save `cli` |
//! | F4 | `agent` | builds the parts, owns threads, queues, shutdown; one event loop | the end of a part is an event; no detached task |
//! | F4 | `status` | counters and states of all parts, in one place | costs nothing while nobody reads |
//! | F4 | `config` | layers of configuration to one `config::Config` | all problems at once, with file and line |
//! | F4 | `service` | ready, status, watchdog, stopping for systemd | the watchdog is fed only while frames move or a stated wait goes on |
//! | F3 | `job` | `job::LiveVideoJob`, `job::runner::RunnerJob`, `job::ScopeJob`: state machine and start of a job | a started job is always stopped |
//! | F2 | `session` | `session::OrchestratorSession`: one orchestrator, its info, its trust | the info is kept byte for byte |
//! | F1 | `media` | camera to access unit to TS to segment | knows no HTTP; a segment decodes alone |
//! | F1 | `trickle` | numbered segments over HTTP, both ways | knows no video; no seq is sent twice |
//! | F1 | `orchestrator` | `GetOrchestrator` and discovery on the wire, capabilities, trust | unknown fields survive |
//! | F1 | `endings` | the ends that jobs owe until their peers confirm them | what is on the list outlives the process |
//! | F1 | `payment` | signer and schedule of one session's payments | terms go on byte for byte, `state` goes back in order; a signer that refuses is left alone by all |
//! | F0 | `http`, `segment`, `backoff`, `fault`, `capacity`, `price`, `secret`, `stop`, `trouble`, `clock`, `swap_limit`, `rate`, `state_file`, `words` | what all floors share | bounds have names in [`capacity`] |
//!
//! # Why the muxer is ours
//!
//! GStreamer's `mpegtsmux` writes no PAT and PMT at natural key frames (hardware encoders, passthrough), so
//! a segment cut there does not decode; repairing that means rewriting its tables and continuity counters.
//! It leaves the PES length open, which shows each frame one frame late to a reader that waits for the
//! next one, and with audio it may hold video back. `media::ts::mux` is a pure function of access units: every
//! segment starts with its tables, counters are right over the whole channel, and media lost in the
//! queue is lost before it is numbered.
//!
//! # Threads and queues
//!
//! | thread | does | waits on |
//! |---|---|---|
//! | `main` | the current-thread runtime: all sockets, segmenting, muxing, decisions | events |
//! | GStreamer's | capture, convert, encode; never waits for us | its own queues |
//! | blocking (at most [`capacity::CALLS`], end when idle) | ureq calls, short files | the network, with a time limit |
//! | `lookup` (at most [`capacity::LOOKUPS`] for a policy of trust) | look up a name each | the name servers; whoever asks has a time limit |
//! | `media-ask`, `media-stop`, `microphone` | ask, open and stop what may never answer: a driver, a sound server | it; whoever asked waits a bounded time |
//! | `stop-session` | stops a runner's session that nobody stopped: the last resort, for a second at most | the network |
//! | `output` | writes returned video to a file or stdout | its queue |
//! | `log` | writes the log to standard error, whose reader may stall | its queue |
//! | `store` (none unless input is stored) | segments, muxes and writes input to a disk | its queue, the disk |
//!
//! | queue | bound | when full |
//! |---|---|---|
//! | access units | [`capacity::ACCESS_UNITS`], [`capacity::ACCESS_UNIT_BYTES`] | drops to the newest key frame, counted |
//! | access units to the store | the same two | drops to the next key frame, counted |
//! | pieces of a POST | [`capacity::POST_PIECES`] | media waits in the queue above; 5 s fail the segment |
//! | output chunks | [`capacity::OUTPUT_CHUNKS`] | drops to the next segment, counted |
//! | events to the loop | [`capacity::EVENTS`] | the part waits |
//! | lines to standard error | [`capacity::LOG_LINES`] | the line is dropped, counted |
//!
//! # Glossary
//!
//! *Access unit*: one encoded frame. *Segment*: access units from a key frame to the next one, a
//! numbered (*seq*) body on a *channel*. *Channel*: a trickle URL, which is a credential. *Piece*: what is
//! written at once. *Job*: one live video session on one orchestrator, known by its *manifest id*.
//! *Capability*: pipeline and model an orchestrator offers. *Payment*: tickets made by the *signer*, opaque here.

pub mod agent;
pub mod backoff;
pub mod capacity;
pub mod cli;
pub mod clock;
pub mod config;
pub mod endings;
pub mod fault;
pub mod http;
pub mod job;
pub mod media;
pub mod orchestrator;
pub mod payment;
pub mod price;
pub mod rate;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod secret;
pub mod segment;
pub mod service;
pub mod session;
pub mod state_file;
pub mod status;
pub mod stop;
pub mod swap_limit;
pub mod trickle;
pub mod trouble;
pub mod words;
