//! A simulated orchestrator and signer in one process, for the commands `demo` and `sandbox` and for tests.
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
//!   http/1.1 ─▶ signer::io ──▶ signer: signatures and payments; money: their value
//! ```
//!
//! The orchestrator listens with a self-signed or a given certificate, issues and checks auth tokens, answers trickle
//! requests as the Go server does, returns the video of a job unchanged or with an effect, and lists the gateway's
//! protocol violations. With a price, it checks signatures and payments and ends unpaid jobs. A test can script
//! failures ([`Failure`]). Every buffer and list is bounded.
//!
//! Behaviour copied from the real peers (go-livepeer 176aa41, ai-runner 50a742c):
//!
//! | the sandbox | source |
//! |---|---|
//! | redirects `…/app` to `…/app/` with 307, before it asks for a payment | go-livepeer `server/ai_http.go:104` and `:105`: the pattern `…/app/{app_path...}` in a Go mux |
//! | serves an app at its own path below `…/app/` only; another path gets 404 after the session is paid | go-livepeer `server/ai_http.go:755` to `:808`, and `:841` |
//! | refuses `GetOrchestrator` with gRPC status 2 and `OrchestratorCapped` when it is full or does not offer the model | go-livepeer `server/rpc.go:544` and `:566` |
//! | checks its capacity before it takes the payment of a start, and calls the worker afterwards: [`StartFailure::Worker`] | go-livepeer `server/ai_http.go:1037`, `:1063` and `:1157` |
//! | completes the start of a job, a payment or a reservation also when the client has disconnected | go-livepeer `server/ai_http.go:1000` and `:223`: `context.Background()`; `server/segment_rpc.go:241`: no wait that a disconnect cancels |
//! | delays the start of a job while an abandoned job that got a control message is not deleted | ai-runner `runner/src/runner/live/streamer/streamer.py:79` and `:205`: the stop waits for the control loop, whose GET is pending (measured) |
//! | cancels a waiting call when its client disconnects, on the signer only | go-livepeer `server/remote_signer.go:317`: the webhook has the context of the request |
//! | reads timestamps as libav does: a job loses its video when they wrap at 33 bits, 26.5 h after its start | libavformat `demux.c`: `update_wrap_reference`, `wrap_timestamp` |
//! | drops frames that come before the next one is due, so the output has at most 24 frames/s: [`Counters::dropped`] | ai-runner `runner/src/runner/live/trickle/decoder.py:83` and `:110` to `:121` |
//! | accepts a new picture size only with a new `gateway_request_id`; otherwise it sends an `error` event | ai-runner `runner/src/runner/live/process/process.py:346`; `process_guardian.py:276` |
//! | is `DEGRADED_INFERENCE` for 15 s after an error | ai-runner `runner/src/runner/live/process/process_guardian.py:220` |
//! | restarts the continuity counters at 0 in each returned segment: [`Options::restarts_counters`] | ai-runner `runner/src/runner/live/trickle/encoder.py:59`: libav's `segment` format has a muxer for each |
//!
//! A test reaches the wrap in seconds with `media::io::AccessUnits::skip` on the agent's access units: with one skip
//! before a job starts, or with skips below 13 h during a job.
//!
//! Does not: use keys or money of any value.

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
