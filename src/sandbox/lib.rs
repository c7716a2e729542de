//! An orchestrator in one process on loopback that behaves as the real one, for `demo`, for `sandbox`, and for tests.
//!
//! ```text
//!             one port, TLS (plain HTTP if allowed), one thread
//!   ALPN h2 ──▶ io::grpc ──▶ GetOrchestrator
//!   http/1.1 ─▶ io::server ─▶ route ─┬─▶ io::start: POST /live-video-to-video makes channels
//!                                    └─▶ trickle::io: POST and GET of segments
//!                                            │ ▲
//!                            publish, control ▼ │ output, events
//!                                         io::app, the echo app of a job ──▶ check
//!
//!             another port, TLS or plain
//!   http/1.1 ─▶ signer::io ──▶ signer: signatures and payments; money: what they are worth
//! ```
//!
//! It listens with a fresh self-signed certificate, or with a given one, hands out auth tokens and wants them back, answers trickle as
//! the Go server does, returns the video of a job unchanged or transformed, and lists what a gateway does
//! wrong. Where it has a price, it checks signatures, wants to be paid, and ends the jobs of those who do not
//! pay. On the script of a test it does wrong itself. All of it is bounded.
//!
//! What it does because the real peers do (go-livepeer 176aa41, ai-runner 50a742c):
//!
//! | it | as |
//! |---|---|
//! | answers `…/app` with 307 to `…/app/`, before it asks for a payment | go-livepeer `server/ai_http.go:104` and `:105`: the pattern `…/app/{app_path...}` in a Go mux |
//! | serves an app at its own path below `…/app/` alone, and says so once the session is paid | go-livepeer `server/ai_http.go:755` to `:808`, and `:841` |
//! | refuses `GetOrchestrator` with gRPC status 2 and `OrchestratorCapped` where it is full, or has not the model | go-livepeer `server/rpc.go:544` and `:566` |
//! | looks at its capacity before it takes the payment of a start, and calls the worker after it: [`StartFailure::Worker`] | go-livepeer `server/ai_http.go:1037`, `:1063` and `:1157` |
//! | carries out what takes long, also when the client has left: the start of a job, a payment, a reservation | go-livepeer `server/ai_http.go:1000` and `:223`: `context.Background()`; `server/segment_rpc.go:241`: no wait that the client ends |
//! | keeps the start of a job waiting while a job that its client has left, after a control message, is not deleted | ai-runner `runner/src/runner/live/streamer/streamer.py:79` and `:205`: the stop waits for the control loop, whose GET is pending; measured (protocol.md, section 5) |
//! | gives up a payment that waits when its client leaves, on the signer alone | go-livepeer `server/remote_signer.go:317`: the webhook has the context of the request |
//! | reads times as libav does, so a job that lives over a wrap of 33 bits, 26.5 h after its start, loses its video | libavformat `demux.c`: `update_wrap_reference`, `wrap_timestamp` |
//! | drops frames below the next time that is due, and so those above 24 frames/s: [`Counters::dropped`] | ai-runner `runner/src/runner/live/trickle/decoder.py:83` and `:110` to `:121` |
//! | takes another size of pictures from another `gateway_request_id` alone, and else says so in an `error` event | ai-runner `runner/src/runner/live/process/process.py:346`; `process_guardian.py:276` |
//! | is `DEGRADED_INFERENCE` for 15 s after an error | ai-runner `runner/src/runner/live/process/process_guardian.py:220` |
//! | begins the continuity counters of each returned segment at 0: [`Options::restarts_counters`] | ai-runner `runner/src/runner/live/trickle/encoder.py:59`: libav's `segment` format has a muxer for each |
//!
//! A test goes over the wrap in seconds with `media::io::AccessUnits::skip` on the agent's access units: once to
//! come close to it before a job starts, or, in a job, in steps below 13 h.
//!
//! Does not: use keys or money that are worth anything.

mod check;
mod echo;
mod frames;
mod http1;
mod io;
mod money;
mod offer;
mod options;
mod pipeline;
mod record;
mod route;
mod runner;
mod running_jobs;
mod script;
mod signer;
mod start;
mod token;
mod trickle;
mod world;

pub use check::{Violation, Violations};
pub use io::{Handle, Sandbox, StartError};
pub use money::{Account, Ledger, RefusedCall};
pub use options::{Certificate, Credential, Options, SignerOptions, Timings};
pub use record::{Counters, NewestFrame, Record, Request, Target};
pub use runner::{RunnerOptions, SingleShot};
pub use script::{Break, CallFailure, Endpoint, Failure, InfoFailure, Role, StartFailure};
