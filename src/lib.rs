//! livepeer-edge: an embedded gateway agent for the Livepeer network.
//!
//! It captures camera video with GStreamer, starts a job on an orchestrator or a runner, publishes the video
//! to the job's trickle channel, and receives the processed video and the events. Keys and signatures
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
//! # The path of a frame
//!
//! Out, from the camera to the orchestrator:
//!
//! 1. `media::io::capture` runs the GStreamer pipeline: source, encoder, appsink.
//! 2. `media::io::access_units::feed` takes each encoded frame on GStreamer's thread, without waiting.
//! 3. `media::queue` holds the access units; a full queue drops to the newest key frame.
//! 4. `media::io::access_units::pieces` reads the queue; `media::segmenter` places each unit in a segment.
//! 5. `mpegts::mux` packs the unit into TS packets: a `media::TsPiece`.
//! 6. `agent::MediaFlow` converts it to a `livepeer_gateway::segment::Piece`, and reports each new segment to the payer.
//! 7. `trickle::io::upload` writes pieces to POSTs, each a `trickle::io::post`, as `trickle::publication` decides.
//!
//! Back, from the orchestrator to the outputs:
//!
//! 8. `trickle::io::subscriber` reads GETs as `trickle::subscription` decides, into a `SegmentSink`.
//! 9. `agent::output` is that sink: it counts, joins the segments with `mpegts::Joiner` and `TimeShift`, and copies them.
//! 10. `outputs` passes the stream on to `media::io::playback`, of which a thread for each output writes it.
//!
//! # The path of a payment
//!
//! 1. `cli::reach` reads the credentials and builds `payment::io::Signers`, once for the process.
//! 2. `job::LiveVideoJob` or `job::runner::RunnerJob` starts the job, and pays where the start itself costs.
//! 3. `agent::jobs::parts` takes the started job's `JobPayments` and runs them as a task.
//! 4. `payment::io::payer` waits until `payment::schedule` says that a payment is due and media has flowed.
//! 5. `payment::session` builds the request to the signer from the orchestrator's terms and the signer's last state.
//! 6. `payment::io::signers` asks `budget::io::Purse` for an admission, and the signers in turn, each only when its
//!    `payment::gate` allows.
//! 7. `budget::io::Purse` counts the payment, and `resilience::ledger` says what must be on the disk before it is sent.
//! 8. `payment::io::payer` sends the signed tickets to the orchestrator; the answer renews the terms.
//! 9. Each turn is reported to `agent::jobs::losses`: go on, try later, or leave the orchestrator.
//!
//! # The loop
//!
//! `agent::run` holds one loop over five owners: `Cameras`, `Jobs`, `Clock`, `MotionWatch` and `Switch`. All but the
//! last have `next()`, which waits for an event, and `on(event)`, which handles it and returns an event for
//! `job::Machine`. The machine answers with commands, which the loop gives to the owners.
//!
//! # Code map
//!
//! Each folder of the first table is a crate: its `Cargo.toml` lists what it may import. A file named `io.rs` or below
//! `io/` may touch sockets, files, threads, the clock or GStreamer; all other files are pure. `tests/tidy.rs` checks that.
//!
//! | folder | crate | what it contains | what it must not import |
//! |---|---|---|---|
//! | `src/resilience` | `resilience` | back-off, faults, stop, throttled log, state files, ledgers, secrets, sanitizing | all the others |
//! | `src/mpegts` | `mpegts` | MPEG-TS muxer and reader, pure | sockets, GStreamer |
//! | `src/media` | `media` | camera to access units to segments; bitrate controller; motion; store; outputs | the network |
//! | `src/gateway` | `livepeer_gateway` | a Livepeer client: HTTP, trickle, discovery, trust, sessions, payments, jobs | video, GStreamer, the agent |
//! | `src/sandbox` | `sandbox` | a Livepeer network in one process (feature `sandbox`) | the agent |
//! | `src` | `livepeer_edge` | the program: the modules below | – |
//!
//! | module of the program | what it does | rule |
//! |---|---|---|
//! | `main` | sets up configuration, logger and runtime, runs the command | prints an error chain once |
//! | [`cli`] | parses arguments; one file per command | exit codes: 0 done, 1 failed, 2 wrong usage or configuration |
//! | [`agent`] | builds the parts, runs the event loop and the shutdown | the end of a part is an event; no task is detached |
//! | [`api`] | serves state, video, snapshots, parameters and the page over HTTP | every bound is in [`api::limits`]; reads video only while a client watches |
//! | [`mqtt`] | publishes state, events and pictures to an MQTT broker, takes commands from it, and describes the device to Home Assistant | every bound is in [`mqtt::limits`]; a broker that hangs costs nothing else |
//! | [`status`] | shares counters and states of all parts | a write is an atomic store or a short lock |
//! | [`events`] | publishes events, writes them to files, programs and web servers | a sink that hangs holds up nothing else |
//! | [`outputs`] | opens the outputs of the configuration, and reports their states | an output that fails costs the others nothing |
//! | [`config`] | merges defaults, file, environment and arguments into `config::Config` | reports all problems at once, with file and line |
//! | [`service`] | notifies systemd: ready, status, watchdog, stopping | feeds the watchdog only while frames move or during a wait with a limit |
//!
//! # Why the muxer is ours
//!
//! GStreamer's `mpegtsmux` does not write PAT and PMT at natural key frames (hardware encoders, passthrough), so a
//! segment cut there does not decode; a repair would have to rewrite tables and continuity counters. It leaves the
//! PES length open, so that a reader gets each frame one frame late. With audio, it may delay video.
//! `mpegts::mux` is a pure function of access units: every segment starts with its tables, continuity counters are
//! right over the whole channel, and frames dropped in the queue leave no gap in the counters.
//!
//! # Threads and queues
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | `main` | the current-thread runtime: sockets, segmenting, muxing, decisions | events |
//! | GStreamer's | captures, converts, encodes; never waits for this program | its own queues |
//! | blocking (at most [`livepeer_gateway::limits::CALLS`], end when idle) | makes HTTP calls with ureq, reads and writes short files | the network or the disk, with a time limit |
//! | `lookup` (at most [`livepeer_gateway::limits::LOOKUPS`] per connector) | looks up one host name | the name servers; its caller has a time limit |
//! | `media-ask`, `media-stop`, `microphone` | queries, opens or stops a device whose driver or sound server may hang | the device; its caller has a time limit |
//! | `stop-session` | stops a runner's session that was dropped without a stop | the network; the dropping thread waits 1 s at most |
//! | `events.stdout`, `events.file`, `events.exec`, `events.webhook` (each only if configured) | writes events there | its queue, the receiver; a program and a call have a time limit |
//! | `hook` (while a program of `events.exec` runs) | waits for its end | the program, which has a time limit |
//! | `output` (one for each output) | writes returned video or input to its output | its queue, the disk, the reader or the network |
//! | `input` (one for each output of the input) | segments and muxes input for an output | its queue |
//! | `log` | writes the log to standard error | its queue, the reader of standard error |
//! | `store` (only if input is stored) | segments, muxes and writes input to a disk | its queue, the disk |
//!
//! | queue | bound | when full |
//! |---|---|---|
//! | access units | [`media::limits::ACCESS_UNITS`], [`media::limits::ACCESS_UNIT_BYTES`] | drops to the newest key frame, counted |
//! | access units before a motion that starts a job: the pre-roll | the same two | drops the oldest key frame and what follows it, counted |
//! | access units to the store, and to each output of the input | the same two | drops to the next key frame, counted |
//! | pieces of a POST | [`livepeer_gateway::limits::POST_PIECES`] | media waits in the queue of access units; after 5 s the segment fails |
//! | output chunks | [`media::limits::OUTPUT_CHUNKS`] | drops up to the next segment, counted |
//! | events to the loop | [`livepeer_gateway::limits::EVENTS`] | the part waits |
//! | events of each subscriber | [`events::WAITING`], [`events::WAITING_BYTES`] | drops the oldest, and an event in their place counts them |
//! | lines to standard error | [`crate::cli::stderr::LOG_LINES`] | the line is dropped, counted |
//!
//! # Glossary
//!
//! *Access unit*: one encoded frame. *Segment*: access units from a key frame to the next one, a
//! numbered (*seq*) body on a *channel*. *Channel*: a trickle URL, which is a credential. *Piece*: what is
//! written at once. *Job*: one live session on one orchestrator or runner, identified by its *manifest id*.
//! *Capability*: a pipeline and model that an orchestrator offers. *Payment*: tickets made by the *signer*, opaque here.

pub mod agent;
pub mod api;
pub mod cli;
pub mod config;
pub mod events;
pub mod mqtt;
pub mod outputs;
pub mod service;
pub mod status;
