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
//! `media::segmenter` decides where it belongs, `mpegts::mux` packs it, and it leaves as a `media::Piece`;
//! `trickle::publication` decides on the answers of the network, `trickle::io::publisher` does what it says.
//! Back: `trickle::subscription` decides, `trickle::io::subscriber` reads, then `media::io::playback` writes. Above
//! them `job` says what has to run, and `agent` carries it out.
//!
//! # Code map
//!
//! Each folder of the first table is a crate with its own `Cargo.toml`: what it may import is what is listed there.
//! *Pure* files touch no socket, file, thread, clock or GStreamer; only a file named `io.rs` or below `io/` does.
//! `tests/tidy.rs` checks that.
//!
//! | folder | crate | what it is | what it does not know |
//! |---|---|---|---|
//! | `src/resilience` | `resilience` | back-off, faults, stop, throttled log, state files, secrets, sanitizing | all the others |
//! | `src/mpegts` | `mpegts` | MPEG-TS muxer and reader, pure | sockets, GStreamer |
//! | `src/media` | `media` | camera to access units to segments; bitrate controller; store; outputs | the network |
//! | `src/gateway` | `livepeer_gateway` | a Livepeer client: HTTP, trickle, discovery, trust, sessions, payments, jobs | video, GStreamer, the agent |
//! | `src/sandbox` | `sandbox` | a Livepeer network in one process (feature `sandbox`) | the agent |
//! | `src` | `livepeer_edge` | the program: the modules below | – |
//!
//! | module of the program | what it is | what always holds |
//! |---|---|---|
//! | `main` | arguments, configuration, logger, runtime, command, exit code | prints an error chain once |
//! | [`cli`] | a file for each command | exit codes: 0 done, 1 failed, 2 wrong usage or configuration |
//! | [`agent`] | builds the parts, owns threads, queues, shutdown; one event loop | the end of a part is an event; no detached task |
//! | [`status`] | counters and states of all parts, in one place | costs nothing while nobody reads |
//! | [`config`] | layers of configuration to one `config::Config` | all problems at once, with file and line |
//! | [`service`] | ready, status, watchdog, stopping for systemd | the watchdog is fed only while frames move or a stated wait goes on |
//!
//! # Why the muxer is ours
//!
//! GStreamer's `mpegtsmux` writes no PAT and PMT at natural key frames (hardware encoders, passthrough), so
//! a segment cut there does not decode; repairing that means rewriting its tables and continuity counters.
//! It leaves the PES length open, which shows each frame one frame late to a reader that waits for the
//! next one, and with audio it may hold video back. `mpegts::mux` is a pure function of access units: every
//! segment starts with its tables, counters are right over the whole channel, and media lost in the
//! queue is lost before it is numbered.
//!
//! # Threads and queues
//!
//! | thread | does | waits on |
//! |---|---|---|
//! | `main` | the current-thread runtime: all sockets, segmenting, muxing, decisions | events |
//! | GStreamer's | capture, convert, encode; never waits for us | its own queues |
//! | blocking (at most [`livepeer_gateway::limits::CALLS`], end when idle) | ureq calls, short files | the network, with a time limit |
//! | `lookup` (at most [`livepeer_gateway::limits::LOOKUPS`] for a policy of trust) | look up a name each | the name servers; whoever asks has a time limit |
//! | `media-ask`, `media-stop`, `microphone` | ask, open and stop what may never answer: a driver, a sound server | it; whoever asked waits a bounded time |
//! | `stop-session` | stops a runner's session that nobody stopped: the last resort, for a second at most | the network |
//! | `output` | writes returned video to a file or stdout | its queue |
//! | `log` | writes the log to standard error, whose reader may stall | its queue |
//! | `store` (none unless input is stored) | segments, muxes and writes input to a disk | its queue, the disk |
//!
//! | queue | bound | when full |
//! |---|---|---|
//! | access units | [`media::limits::ACCESS_UNITS`], [`media::limits::ACCESS_UNIT_BYTES`] | drops to the newest key frame, counted |
//! | access units to the store | the same two | drops to the next key frame, counted |
//! | pieces of a POST | [`livepeer_gateway::limits::POST_PIECES`] | media waits in the queue above; 5 s fail the segment |
//! | output chunks | [`media::limits::OUTPUT_CHUNKS`] | drops to the next segment, counted |
//! | events to the loop | [`livepeer_gateway::limits::EVENTS`] | the part waits |
//! | lines to standard error | [`crate::cli::stderr::LOG_LINES`] | the line is dropped, counted |
//!
//! # Glossary
//!
//! *Access unit*: one encoded frame. *Segment*: access units from a key frame to the next one, a
//! numbered (*seq*) body on a *channel*. *Channel*: a trickle URL, which is a credential. *Piece*: what is
//! written at once. *Job*: one live video session on one orchestrator, known by its *manifest id*.
//! *Capability*: pipeline and model an orchestrator offers. *Payment*: tickets made by the *signer*, opaque here.

pub mod agent;
pub mod cli;
pub mod config;
pub mod service;
pub mod status;
