//! A network camera for tests: RTSP on a free local port, H.264 in RTP, over the RTSP connection or over UDP. Switches
//! choose the unusual behaviour of real cameras.
//!
//! Declare `mod rtsp_camera;` in the test program, then:
//!
//! ```text
//! let camera = Camera::start(Recording::short_gops(), Switches { fps: 12.0, ..Switches::default() });
//! let url = camera.url();             // rtsp://127.0.0.1:PORT/video, or rtsps:// with `tls`
//! // ... capture from it ...
//! assert_eq!(camera.seen().expired, 0);
//! ```
//!
//! | oddity | how |
//! |---|---|
//! | a new SSRC with each GOP | `ssrc: Ssrc::EachGop` or `Ssrc::EachGopRestarts` |
//! | only RTSP requests keep the session alive | `session_timeout: Some(..)`; RTCP packets are counted, but do not keep it alive |
//! | GET_PARAMETER refused, or unknown | `get_parameter: GetParameter::Refused` or `GetParameter::Unknown` |
//! | one transport only (461 for the other) | `transport: Transport::Udp` or `Transport::Tcp` |
//! | TLS with any certificate | `tls: Some(Tls::self_signed())` or `Tls::new(certificate, key)` |
//! | no frame times | `is_untimed: true`: each RTP timestamp is 0 |
//! | no IDR picture | `Recording::without_idr()` |
//! | low frame rate | `fps: 0.4` |
//! | credentials | `credential: Some(Credential { .. })`, by Basic or by Digest |
//! | a stream that ends, with an RTCP BYE | `frames: Some(72)` |
//!
//! The recording repeats until the client leaves or the camera is dropped. A panic of the camera's threads fails
//! the test when the camera is dropped.
//!
//! Does not: send sound, lose packets, or serve a path other than `/video`.
#![allow(dead_code, unused_imports, reason = "each test program uses a part of this module")]

mod request;
mod rtp;
mod video;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) use request::{Credential, Scheme};
use request::{Request, take_message};
use rtp::Packets;
pub(crate) use video::Recording;

/// The path of the video; any other one is answered with 404.
const PATH: &str = "/video";
/// The longest wait for a request before the camera checks whether it was stopped.
const PATIENCE: Duration = Duration::from_millis(20);

/// The oddities of a camera; the default has none.
pub(crate) struct Switches {
    /// Frames in a second.
    pub(crate) fps: f64,
    /// The number of frames after which the stream ends.
    pub(crate) frames: Option<u64>,
    pub(crate) ssrc: Ssrc,
    /// The session ends after this time without an RTSP request: whole seconds, as in the Session header.
    pub(crate) session_timeout: Option<Duration>,
    pub(crate) get_parameter: GetParameter,
    pub(crate) transport: Transport,
    /// Each RTP timestamp is 0.
    pub(crate) is_untimed: bool,
    /// The credential that a client must send; `None` accepts every client.
    pub(crate) credential: Option<Credential>,
    /// RTSP over TLS.
    pub(crate) tls: Option<Tls>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            fps: 24.0,
            frames: None,
            ssrc: Ssrc::Fixed,
            session_timeout: None,
            get_parameter: GetParameter::Taken,
            transport: Transport::Any,
            is_untimed: false,
            credential: None,
            tls: None,
        }
    }
}

/// The SSRC of the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ssrc {
    /// One SSRC for the whole session.
    Fixed,
    /// A new SSRC with each GOP; sequence numbers and timestamps continue.
    EachGop,
    /// A new SSRC with each GOP; sequence numbers and timestamps restart at random values.
    EachGopRestarts,
}

/// The camera's support of GET_PARAMETER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GetParameter {
    Taken,
    /// The camera lists the method, and answers 451.
    Refused,
    /// The camera does not list the method.
    Unknown,
}

/// The transport that the camera accepts in SETUP; it answers any other with 461.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Any,
    Tcp,
    Udp,
}

/// A certificate with its key.
pub(crate) struct Tls {
    /// The certificate that the camera shows.
    pub(crate) certificate: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        Self { certificate, config: Arc::new(config) }
    }

    /// A self-signed certificate for 127.0.0.1, as cameras create it.
    #[cfg(feature = "sandbox")]
    pub(crate) fn self_signed() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().into();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        Self::new(certificate, key.into())
    }
}

/// The counts of a camera over all its connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The methods of the requests, in their order.
    pub(crate) methods: Vec<String>,
    /// RTCP packets that arrived.
    pub(crate) rtcp: u64,
    /// Frames that were sent.
    pub(crate) frames: u64,
    /// SSRCs that were used.
    pub(crate) ssrcs: u64,
    /// Sessions that ended because no RTSP request came.
    pub(crate) expired: u64,
}

/// A camera, which serves any number of clients until it is dropped.
pub(crate) struct Camera {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    recording: Recording,
    switches: Switches,
    seen: Mutex<Seen>,
    is_over: AtomicBool,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl Camera {
    pub(crate) fn start(recording: Recording, switches: Switches) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = AtomicBool::new(false);
        let shared = Arc::new(Shared { recording, switches, seen: Mutex::default(), is_over });
        let served = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&listener, &served));
        Self { address, shared, thread: Some(thread) }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The URL of the video.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.shared.switches.tls.is_some() { "rtsps" } else { "rtsp" };
        format!("{scheme}://{}{PATH}", self.address)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // The thread of the connection checks this flag.
        let _ = TcpStream::connect(self.address);
        let end = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(end, Some(Ok(()))), "the camera panicked");
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut clients = Vec::new();
    for stream in listener.incoming() {
        if shared.is_over() {
            break;
        }
        let Ok(stream) = stream else { continue };
        stream.set_nodelay(true).unwrap();
        let shared = Arc::clone(shared);
        clients.push(thread::spawn(move || {
            let tcp = stream.try_clone().unwrap();
            let wire: Box<dyn Wire> = match &shared.switches.tls {
                Some(tls) => {
                    let connection = ServerConnection::new(Arc::clone(&tls.config)).unwrap();
                    Box::new(StreamOwned::new(connection, stream))
                }
                None => Box::new(stream),
            };
            Client::new(wire, tcp, shared).converse();
        }));
    }
    for client in clients {
        client.join().expect("a connection of the camera");
    }
}

trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// The destination of RTP and RTCP.
enum Way {
    /// The RTSP connection, on these channels.
    Channels(u8, u8),
    /// From these sockets to these ports.
    Udp { rtp: UdpSocket, rtcp: UdpSocket, to: (SocketAddr, SocketAddr) },
}

/// One connection, which carries requests, answers, and packets.
struct Client {
    wire: Box<dyn Wire>,
    tcp: TcpStream,
    shared: Arc<Shared>,
    input: Vec<u8>,
    way: Option<Way>,
    playing: Option<Playing>,
    last_request: Instant,
}

/// The state of the stream since PLAY.
struct Playing {
    packets: Packets,
    began: Instant,
    frames: u64,
}

impl Client {
    fn new(wire: Box<dyn Wire>, tcp: TcpStream, shared: Arc<Shared>) -> Self {
        let last_request = Instant::now();
        Self { wire, tcp, shared, input: Vec::new(), way: None, playing: None, last_request }
    }

    /// Serves the client until it leaves, its session ends, or the camera is dropped.
    fn converse(mut self) {
        while !self.shared.is_over() && self.send_due().is_some() && !self.has_expired() {
            self.tcp.set_read_timeout(Some(self.until_next())).unwrap();
            let mut part = [0; 4096];
            match self.wire.read(&mut part) {
                Ok(0) => return,
                Ok(bytes) => self.input.extend_from_slice(&part[..bytes]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            while let Some(message) = take_message(&mut self.input) {
                let request = match message {
                    request::Message::Interleaved => {
                        self.shared.seen().rtcp += 1;
                        continue;
                    }
                    request::Message::Request(request) => request,
                };
                self.last_request = Instant::now();
                self.shared.seen().methods.push(request.method.clone());
                let answer = self.answer(&request);
                if self.wire.write_all(answer.as_bytes()).is_err() || request.method == "TEARDOWN" {
                    return;
                }
            }
            self.count_rtcp();
        }
    }

    fn has_expired(&self) -> bool {
        let timeout = self.shared.switches.session_timeout.filter(|_| self.playing.is_some());
        let expired = timeout.is_some_and(|timeout| self.last_request.elapsed() > timeout);
        self.shared.seen().expired += u64::from(expired);
        expired
    }

    /// The time limit for the next request: until the next frame is due. Never zero, which would disable the limit.
    fn until_next(&self) -> Duration {
        let due = self.playing.as_ref().map(|playing| playing.due(self.shared.switches.fps));
        let until = due.map_or(PATIENCE, |due| due.saturating_duration_since(Instant::now()));
        until.clamp(Duration::from_millis(1), PATIENCE)
    }

    fn count_rtcp(&self) {
        if let Some(Way::Udp { rtcp, .. }) = &self.way {
            while rtcp.recv(&mut [0; 2048]).is_ok() {
                self.shared.seen().rtcp += 1;
            }
        }
    }

    /// Sends the frames that are due; `None` when the client has left or the stream has ended.
    fn send_due(&mut self) -> Option<()> {
        let Some(playing) = &mut self.playing else { return Some(()) };
        let Switches { fps, frames, is_untimed, ssrc, .. } = &self.shared.switches;
        while playing.due(*fps) <= Instant::now() {
            if frames.is_some_and(|frames| playing.frames == frames) {
                let bye = playing.packets.bye();
                self.way.as_ref()?.send(&mut self.wire, &bye, true)?;
                return None;
            }
            let unit = self.shared.recording.unit(playing.frames);
            if unit.begins_gop() && playing.frames > 0 {
                playing.packets.begin_gop(*ssrc);
            }
            let seconds = playing.frames as f64 / fps;
            let time = if *is_untimed { 0 } else { (seconds * 90_000.0) as u64 as u32 };
            let way = self.way.as_ref()?;
            if unit.begins_gop() {
                self.shared.seen().ssrcs += u64::from(playing.frames == 0 || *ssrc != Ssrc::Fixed);
                way.send(&mut self.wire, &playing.packets.sender_report(time), true)?;
            }
            for packet in playing.packets.of(unit, time) {
                way.send(&mut self.wire, &packet, false)?;
            }
            playing.frames += 1;
            self.shared.seen().frames += 1;
        }
        Some(())
    }

    /// The answer to a request.
    fn answer(&mut self, request: &Request) -> String {
        let credential = self.shared.switches.credential.as_ref();
        if let Some(challenge) = credential.and_then(|credential| credential.challenge(request)) {
            return request.answer("401 Unauthorized", &[challenge], "");
        }
        let Switches { session_timeout: timeout, get_parameter, .. } = self.shared.switches;
        let timeout = timeout.map_or_else(String::new, |t| format!(";timeout={}", t.as_secs()));
        let session = format!("Session: 0123456789{timeout}");
        match request.method.as_str() {
            "OPTIONS" => {
                let more =
                    if get_parameter == GetParameter::Unknown { "" } else { ", GET_PARAMETER" };
                let methods = format!("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN{more}");
                request.answer("200 OK", &[methods], "")
            }
            "DESCRIBE" if request.path() != PATH => request.answer("404 Not Found", &[], ""),
            "DESCRIBE" => {
                let kind = "Content-Type: application/sdp".to_owned();
                let base = format!("Content-Base: {}/", request.url);
                request.answer("200 OK", &[kind, base], &self.shared.recording.sdp())
            }
            "SETUP" => match self.set_up(request) {
                Some(transport) => request.answer("200 OK", &[session, transport], ""),
                None => request.answer("461 Unsupported Transport", &[], ""),
            },
            "PLAY" => {
                let began = Instant::now();
                self.playing = Some(Playing { packets: Packets::new(), began, frames: 0 });
                request.answer("200 OK", &[session, "Range: npt=0.000-".to_owned()], "")
            }
            "GET_PARAMETER" if get_parameter == GetParameter::Refused => {
                request.answer("451 Parameter Not Understood", &[session], "")
            }
            "GET_PARAMETER" if get_parameter == GetParameter::Unknown => {
                request.answer("501 Not Implemented", &[session], "")
            }
            "GET_PARAMETER" | "TEARDOWN" => request.answer("200 OK", &[session], ""),
            _ => request.answer("501 Not Implemented", &[], ""),
        }
    }

    /// Chooses the destination of the packets. Returns its Transport header, or `None` if the camera refuses it.
    fn set_up(&mut self, request: &Request) -> Option<String> {
        let asked = request.header("Transport").unwrap_or_default();
        let pair = |name: &str| {
            let value = asked.split(';').find_map(|part| part.strip_prefix(name))?;
            let (first, second) = value.split_once('-')?;
            Some((first.parse::<u16>().ok()?, second.parse::<u16>().ok()?))
        };
        let allowed = self.shared.switches.transport;
        let (way, transport) = if asked.starts_with("RTP/AVP/TCP") {
            let (rtp, rtcp) = pair("interleaved=").unwrap_or((0, 1));
            let transport = format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}");
            let channel = |number: u16| u8::try_from(number).unwrap();
            (Way::Channels(channel(rtp), channel(rtcp)), transport)
        } else {
            let (to_rtp, to_rtcp) = pair("client_port=")?;
            let client = self.tcp.peer_addr().ok()?.ip();
            let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let (rtp, rtcp) = (socket(), socket());
            rtcp.set_nonblocking(true).unwrap();
            let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
            let (from_rtp, from_rtcp) = (port(&rtp), port(&rtcp));
            let transport = format!(
                "RTP/AVP;unicast;client_port={to_rtp}-{to_rtcp};server_port={from_rtp}-{from_rtcp}"
            );
            let to = ((client, to_rtp).into(), (client, to_rtcp).into());
            (Way::Udp { rtp, rtcp, to }, transport)
        };
        let is_taken = match allowed {
            Transport::Any => true,
            Transport::Tcp => matches!(way, Way::Channels(..)),
            Transport::Udp => matches!(way, Way::Udp { .. }),
        };
        if !is_taken {
            return None;
        }
        self.way = Some(way);
        Some(format!("Transport: {transport}"))
    }
}

impl Playing {
    fn due(&self, fps: f64) -> Instant {
        self.began + Duration::from_secs_f64(self.frames as f64 / fps)
    }
}

impl Way {
    /// Sends a packet; `None` when the client has left.
    fn send(&self, wire: &mut dyn Wire, packet: &[u8], is_rtcp: bool) -> Option<()> {
        match self {
            Self::Channels(rtp, rtcp) => {
                let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
                let channel = if is_rtcp { *rtcp } else { *rtp };
                let framed = [&[b'$', channel], &length[..], packet].concat();
                wire.write_all(&framed).ok()
            }
            Self::Udp { rtp, rtcp, to } => {
                let (socket, to) = if is_rtcp { (rtcp, to.1) } else { (rtp, to.0) };
                // A closed port means that the client has left, which also ends the connection.
                let _ = socket.send_to(packet, to);
                Some(())
            }
        }
    }
}
