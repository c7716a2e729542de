//! Names every bound of the program in one place: how much may wait, how long, how large.
//!
//! Each constant says where its number comes from. What happens when a bound is reached is decided
//! by the part that owns the queue, and counted there.
//!
//! Does not: hold defaults of the configuration; those belong to the `Options` of each feature.

use std::time::Duration;

/// Access units that may wait between GStreamer's thread and the network: 4 s at 24 frames/s.
pub const ACCESS_UNITS: usize = 96;
/// Bytes of access units that may wait there; 8 MiB are 4 s at 16 Mbit/s.
pub const ACCESS_UNIT_BYTES: usize = 8 << 20;
/// Frames whose way through the encoder and the network is timed: 10 s at 24 frames/s.
pub const FRAME_STAMPS: usize = 256;
/// Pieces handed to one POST that the transport has not taken yet. One, so that the bounded queue
/// before it is the only place where media waits.
pub const POST_PIECES: usize = 1;
/// Segments in flight before the orchestrator counts as too slow (go-livepeer `ai_live_video.go`).
pub const SEGMENTS_IN_FLIGHT: usize = 3;
/// Segments that the trickle server keeps (go-livepeer `trickle/`).
pub const SEGMENTS_KEPT: u64 = 5;
/// Verdicts on encoders that are kept; each is one element at one size.
pub const ENCODER_VERDICTS: usize = 32;
/// Frames of audio that may wait for the next picture: 3.2 s of 20 ms each, for pictures that come every 2.5 s.
pub const AUDIO_FRAMES: usize = 160;
/// Files of stored input: a day's in segments of 1 s, the shortest.
pub const STORE_FILES: usize = 86_400;
/// Cameras whose H.264 was measured; each is one at one address, in one mode.
pub const CAMERAS_MEASURED: usize = 8;
/// Ways to use one camera that are looked at; the longest list seen of a USB camera has about 150.
pub const CAMERA_MODES: usize = 1024;
/// Events that the parts may have under way to the agent's loop.
pub const EVENTS: usize = 64;
/// Chunks of returned media that may wait for one output.
pub const OUTPUT_CHUNKS: usize = 256;
/// Control messages that may wait for the control channel.
pub const CONTROL_MESSAGES: usize = 8;
/// The largest JSON body read from a peer.
pub const JSON_BODY: usize = 1 << 20;
/// Values in a JSON text of a peer that is read as a tree; each may take 600 bytes where its text takes 8.
pub const JSON_VALUES: usize = 16 << 10;
/// The largest event read from an events channel.
pub const EVENT_BODY: usize = 256 << 10;
/// The largest gRPC message read from a peer. An info with 100 models is 10 KiB; unpacked it may take 20 times its
/// bytes, and those of [`CANDIDATES_AT_ONCE`] are held at a time.
pub const GRPC_MESSAGE: usize = 256 << 10;
/// The largest response head read from a peer.
pub const RESPONSE_HEAD: usize = 32 << 10;
/// The same on a connection that is there to send, where hyper keeps as many bytes back that the connection does not
/// take: seen nowhere, and not dropped when they are old. The least that hyper has.
pub const SENDER_BUFFER: usize = 8 << 10;
/// Bytes that TLS keeps back where the connection does not take them (rustls: 64 KiB, half a second of 1 Mbit/s).
pub const TLS_BUFFER: usize = 8 << 10;
/// The largest segment read from a peer; a 2 s segment at 40 Mbit/s is 10 MB.
pub const SEGMENT_BODY: u64 = 64 << 20;
/// Agents for calls: one for each orchestrator that names other hosts, and for each zone.
pub const AGENTS: usize = 16;
/// Peers whose TLS settings (and session tickets) are kept.
pub const TLS_PEERS: usize = 32;
/// The kernel's send buffer of a connection, in bytes (Linux doubles it for its own bookkeeping). Left to
/// itself it grows to 4 MB on loopback, which is 16 s of video at 2 Mbit/s; this carries 7 Mbit/s over a round
/// trip of 300 ms.
pub const SEND_BUFFER: u32 = 256 << 10;
/// Bytes that the kernel takes for a connection beyond what is on its way, so that media waits in our own queue,
/// where it can grow stale in sight: a key frame at 1 Mbit/s, and half a second at a quarter of that.
pub const UNSENT: u32 = 16 << 10;
/// Look-ups of names under way, each a thread; more than there are peers in use at a time.
pub const LOOKUPS: usize = 16;
/// Addresses of a name that are tried.
pub const ADDRESSES: usize = 8;
/// Calls with short bodies under way, each a thread: to the candidates asked together, and to the signer, a
/// discovery endpoint and the running job beside them.
pub const CALLS: usize = CANDIDATES_AT_ONCE + 3;
/// Peers for which the clock is doubted at most.
pub const DOUBTS: usize = CANDIDATES;
/// Certificates that stay pinned.
pub const PINS: usize = 256;
/// Certificates that are remembered of the hosts that one orchestrator names: four channels, a runner, and calls.
pub const PINS_UNDER: usize = 8;
/// Candidate orchestrators of one selection.
pub const CANDIDATES: usize = 64;
/// Candidates asked for their info at once (protocol.md, section 8).
pub const CANDIDATES_AT_ONCE: usize = 5;
/// Runners kept of one orchestrator in a discovery list.
pub const RUNNERS: usize = 64;
/// Capabilities kept of one orchestrator in a discovery list.
pub const CAPABILITIES: usize = 256;
/// The longest name of a model, app or GPU that is kept.
pub const NAME_BYTES: usize = 256;
/// The longest access token.
pub const TOKEN_BYTES: usize = 16 << 10;
/// The longest secret: what go's HTTP server takes of headers is 1 MiB, proxies take 8 KiB.
pub(crate) const SECRET_BYTES: usize = 8 << 10;
/// Signers of one list.
pub const SIGNERS: usize = 8;
/// The largest payment or `state` of a signer; 100 tickets, its most, are about 20 KiB.
pub const PAYMENT_BYTES: usize = 256 << 10;
/// Characters of a peer's message that are shown.
pub const MESSAGE_CHARS: usize = 200;
/// Lines of the log that may wait for standard error. At level trace a busy second has about 300.
pub const LOG_LINES: usize = 1024;
/// Characters of a line of the log, whatever is in it.
pub const LINE_CHARS: usize = 1000;
/// The longest URL: a channel's has 150 bytes, one with a token in its query some 2 KiB.
pub const URL_BYTES: usize = 8 << 10;
/// What the service manager is asked for beyond the end of a wait while the agent starts.
pub const START_MARGIN: Duration = Duration::from_secs(30);
/// Characters of the status that the service manager shows: what goes on, and a peer's message.
pub const STATUS_CHARS: usize = 400;

/// Time to resolve, connect and finish the TLS handshake.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time for the first try to connect, before a second one within [`CONNECT_TIME`]: the kernel asks a silent
/// peer again after 1 s, then 2, then 4, and a link that returns is to be met within 2 s.
pub const FIRST_CONNECT_TIME: Duration = Duration::from_secs(2);
/// Bytes that are not acknowledged within this time after they were sent again mean that the link is gone, 3 s
/// after it went. A Wi-Fi that changes its access point takes less.
pub const ACKNOWLEDGE_TIME: Duration = Duration::from_millis(2300);
/// A connection on which nothing comes is asked for a sign of life after this time, and then every
/// [`ALIVE_EVERY`]; [`ALIVE_TRIES`] without an answer are its end.
pub const ALIVE_AFTER: Duration = Duration::from_secs(4);
/// See [`ALIVE_AFTER`].
pub const ALIVE_EVERY: Duration = Duration::from_secs(2);
/// See [`ALIVE_AFTER`].
pub const ALIVE_TRIES: u32 = 3;
/// An orchestrator on which no segment got through for this long since the first one was lost is left. With
/// [`ACKNOWLEDGE_TIME`] before that, and the end of its parts after it, another one has the video within 10 s;
/// a link that is gone for 5 s keeps its job.
pub const LEAVE_TIME: Duration = Duration::from_millis(4500);
/// With [`SEGMENTS_IN_FLIGHT`] segments, an answer that takes longer is that of an orchestrator which is too slow;
/// a link that has just become narrow needs a few seconds until the bitrate follows.
pub const SLOW_TIME: Duration = Duration::from_secs(6);
/// The first picture of a segment waits no longer for its turn: that of the queue before it.
pub const OPENER_TIME: Duration = Duration::from_secs(1);
/// How long a connection that was used may be used again. Short: one that is older may lead over a link that
/// is gone or from an address that we had, where a call hangs until its own limit.
pub const REUSE_TIME: Duration = Duration::from_secs(2);
/// Time for a whole request and answer with a short body.
pub const CALL_TIME: Duration = Duration::from_secs(15);
/// Time for an answer with a short body from its first byte to its last, however long it may take to begin.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Time for `POST /live-video-to-video`: the answer can take long while a model loads.
pub const JOB_START_TIME: Duration = Duration::from_secs(90);
/// Time for a single-shot runner to compute before its answer begins.
pub const SINGLE_SHOT_TIME: Duration = Duration::from_secs(600);
/// The largest file sent to a single-shot runner; it is sent twice where it has to be paid.
pub const CALL_BODY: u64 = 32 << 20;
/// A chunk that the transport does not take within this time fails its segment (Python gateway).
pub const CHUNK_TIME: Duration = Duration::from_secs(5);
/// Time for a software encoder to encode a few frames before it is chosen; the slowest here needs 0.2 s.
pub const SOFTWARE_TRIAL_TIME: Duration = Duration::from_secs(1);
/// The same for hardware, which needs less but competes with everything else that starts when a device boots: an
/// encoder that is passed over by mistake costs the device most of a core.
pub const HARDWARE_TRIAL_TIME: Duration = Duration::from_secs(4);
/// Time for the encoder to give out what it holds at a stop: 3 frames at 24 frames/s, and some more.
pub const ENCODER_TIME: Duration = Duration::from_millis(150);
/// Time for a camera to show its first frames when it is tried: Argus needs 2 to 3 s, a camera of the network
/// some more to answer and to come to its second key.
pub const CAMERA_TIME: Duration = Duration::from_secs(10);
/// Time for a microphone to open: a sound server answers at once, or not at all.
pub const MICROPHONE_TIME: Duration = Duration::from_secs(2);
/// Time for a pipeline to stop; a driver that takes longer is left behind. Within [`END_TIME`].
pub const PIPELINE_STOP_TIME: Duration = Duration::from_millis(300);
/// After capture has stopped: for the last segment to go out and the last processed video to come back.
pub const DRAIN_TIME: Duration = Duration::from_millis(1000);
/// After that: for every part to end, its channel deleted. Both together stay below 2 s.
pub const END_TIME: Duration = Duration::from_millis(500);
/// For the store to write what it has yet, at the end: seconds of video are nothing to a disk that works.
pub const STORE_TIME: Duration = Duration::from_millis(300);
/// Bytes of a GIF that are read, and kept while it is shown; what is behind them is not shown.
pub const GIF_BYTES: u64 = 32 << 20;
