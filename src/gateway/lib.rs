//! A Livepeer client for any Rust program: it opens sessions with orchestrators, pays them by a remote signer, runs
//! live video jobs and moves their media by trickle. The caller brings the video as bytes of MPEG-TS, from anywhere.
//!
//! The crate needs a tokio runtime, of one thread or several. Do not decide by the text of an error: each error has a
//! [`Fault`](resilience::fault::Fault) that says how to react.
//!
//! # A session off-chain
//!
//! ```no_run
#![doc = include_str!("../../tests/gateway_sessions/off_chain.rs")]
//! ```
//!
//! # A session that a signer pays for
//!
//! The keys stay with the signer. [`StartedJob::run`] pays only while segments begin.
//!
//! ```no_run
#![doc = include_str!("../../tests/gateway_sessions/with_signer.rs")]
//! ```
//!
//! # The best of several orchestrators
//!
//! ```no_run
#![doc = include_str!("../../tests/gateway_sessions/best_of.rs")]
//! ```
//!
//! # Where to go on
//!
//! | for | see |
//! |---|---|
//! | candidates from a discovery endpoint, a signer or a token | [`orchestrator`] |
//! | the processed video | [`Subscriber`] on [`job::Channels`]`::output` |
//! | the model's events | [`trickle::io::Documents`] |
//! | parameters of a job that runs | [`messages`] on [`job::Channels`]`::control` |
//! | a job that survives its orchestrator | [`job::Machine`], which decides; the caller carries out its commands |
//! | apps on Live Runners | [`job::runner`] |
//! | a limit on payments, kept over restarts | [`Signers::with_purse`] |
//! | ends of jobs that outlive the process | [`endings::io::Endings`] |
//!
//! Does not: know video, GStreamer or the agent.

pub mod budget;
pub mod clock;
pub mod endings;
pub mod http;
pub mod job;
pub mod limits;
pub mod orchestrator;
pub mod payment;
pub mod price;
pub mod segment;
pub mod session;
pub mod trickle;

pub use http::Url;
pub use job::{JobOptions, LiveVideoJob, StartedJob};
pub use orchestrator::{Capability, TrustOptions};
pub use payment::io::{SignerOptions, Signers};
pub use payment::{PaymentSession, SessionOptions};
pub use resilience::stop::{Stop, Stopper};
pub use segment::Pieces;
pub use session::selection::{CandidateOrder, OfferRules};
pub use session::{Network, OrchestratorSession, PaymentSetup};
pub use trickle::io::{Publisher, Subscriber, messages};
