//! The unary gRPC call `net.Orchestrator/GetOrchestrator`, over HTTP/2.
//!
//! Each call opens a connection and closes it: calls are minutes apart.
//!
//! Does not: interpret the `OrchestratorInfo`.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;

use crate::http::io::{Allowance, Alpn, ConnectError, Connector, GuardedStream};
use crate::http::{Url, Zone};
use crate::limits::GRPC_MESSAGE;
use crate::orchestrator::proto::{OrchestratorInfo, OrchestratorRequest};
use resilience::fault::Fault;
use resilience::sanitize;

/// Maximum bytes that an orchestrator may send in one call, including all frames.
const EXCHANGE: usize = 2 * GRPC_MESSAGE;

/// The gRPC status `UNKNOWN`.
const UNKNOWN: u32 = 2;
/// The error text of an orchestrator at capacity.
const CAPPED: &str = "OrchestratorCapped";

/// Why an `OrchestratorInfo` could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// The connection failed.
    #[error(transparent)]
    Connect(ConnectError),
    /// No response within the time limit.
    #[error("{0}: no complete answer within {seconds} s", seconds = .1.as_secs())]
    Timeout(Url, Duration),
    /// HTTP/2 failed, or the response is not gRPC.
    #[error("{0}: no gRPC answer, so perhaps not an orchestrator: {1}")]
    Broken(Url, String),
    /// The orchestrator has no capacity for the model, or does not have the model: the response is the same.
    #[error("{0}: orchestrator is full, or does not have the model")]
    NoCapacity(Url),
    /// The orchestrator returned another gRPC error.
    #[error("{url}: orchestrator refused with gRPC status {status}: {message}")]
    Refused {
        /// The orchestrator.
        url: Url,
        /// The gRPC status, by the gRPC specification.
        status: u32,
        /// The orchestrator's error text.
        message: String,
    },
    /// The message is longer than [`GRPC_MESSAGE`].
    #[error("{0}: info is longer than {GRPC_MESSAGE} bytes")]
    TooLarge(Url),
    /// The message is not an `OrchestratorInfo`.
    #[error("{0}: answer is not an orchestrator info: {1}")]
    NoInfo(Url, String),
}

impl InfoError {
    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(error) => error.fault(),
            Self::Timeout(..) | Self::Broken(..) | Self::NoCapacity(_) => Fault::Retry,
            Self::Refused { .. } | Self::TooLarge(_) | Self::NoInfo(..) => Fault::NextPeer,
        }
    }
}

/// An `OrchestratorInfo` and the bytes it was decoded from.
#[derive(Debug, Clone)]
pub struct FetchedInfo {
    /// The received bytes, to be forwarded to a signer unchanged.
    pub(crate) bytes: Bytes,
    /// The decoded message.
    pub info: OrchestratorInfo,
    /// The zone of the orchestrator's address.
    pub(crate) zone: Zone,
}

/// Fetches the `OrchestratorInfo` of the orchestrator at `url`. The call may take up to `time` after the connection is
/// established.
pub async fn fetch_info(
    connector: &Connector,
    url: &Url,
    request: &OrchestratorRequest,
    time: Duration,
) -> Result<FetchedInfo, InfoError> {
    let stream = connector.connect(url, Alpn::Http2).await.map_err(InfoError::Connect)?;
    let zone = stream.zone();
    let stream = GuardedStream::new(stream, Allowance::new(EXCHANGE));
    let exchange = async {
        let (sender, connection) = h2::client::Builder::new()
            .enable_push(false)
            .max_header_list_size(16 << 10)
            .initial_window_size(64 << 10)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(|error| broken(url, &error))?;
        // Drive the connection concurrently with the call; both end together.
        let mut call = pin!(call(url, sender, request, time));
        tokio::select! {
            message = &mut call => message,
            end = connection => {
                // A response received before the end is valid. Otherwise the connection's error explains more than the call's.
                let end = end.err().map_or_else(|| "connection closed".to_owned(), |e| e.to_string());
                let result = call.await;
                match result {
                    Err(InfoError::Broken(..)) => {
                        Err(InfoError::Broken(url.clone(), sanitize::message(&end)))
                    }
                    result => result,
                }
            }
        }
    };
    let bytes = tokio::time::timeout(time, exchange)
        .await
        .unwrap_or_else(|_| Err(InfoError::Timeout(url.clone(), time)))?;
    let info = OrchestratorInfo::decode(bytes.clone())
        .map_err(|error| InfoError::NoInfo(url.clone(), error.to_string()))?;
    Ok(FetchedInfo { bytes, info, zone })
}

/// Sanitizes the error's text, which may contain text that the peer sent (GOAWAY debug data).
fn broken(url: &Url, error: &h2::Error) -> InfoError {
    InfoError::Broken(url.clone(), sanitize::message(&error.to_string()))
}

async fn call(
    url: &Url,
    sender: SendRequest<Bytes>,
    message: &OrchestratorRequest,
    time: Duration,
) -> Result<Bytes, InfoError> {
    let uri =
        format!("{}://{}/net.Orchestrator/GetOrchestrator", url.scheme().as_str(), url.authority());
    let request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", format!("{}m", time.as_millis()))
        .body(())
        .map_err(|error| InfoError::Broken(url.clone(), error.to_string()))?;
    let mut sender = sender.ready().await.map_err(|error| broken(url, &error))?;
    let (response, mut body) =
        sender.send_request(request, false).map_err(|error| broken(url, &error))?;
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put(message.encode_to_vec().as_slice());
    body.send_data(frame.freeze(), true).map_err(|error| broken(url, &error))?;
    let (head, mut body) = response.await.map_err(|error| broken(url, &error))?.into_parts();
    if head.status != 200 {
        return Err(InfoError::Broken(url.clone(), format!("HTTP status {}", head.status)));
    }
    grpc_status(url, &head.headers)?;
    let mut received = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(|error| broken(url, &error))?;
        if received.len() + chunk.len() > GRPC_MESSAGE + 5 {
            return Err(InfoError::TooLarge(url.clone()));
        }
        received.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len()).map_err(|error| broken(url, &error))?;
    }
    let trailers =
        poll_fn(|cx| body.poll_trailers(cx)).await.map_err(|error| broken(url, &error))?;
    if let Some(trailers) = &trailers {
        grpc_status(url, trailers)?;
    }
    unframe(received.freeze())
        .ok_or_else(|| InfoError::Broken(url.clone(), "message is cut or compressed".to_owned()))
}

/// Returns an error if `headers` have a gRPC status other than 0.
fn grpc_status(url: &Url, headers: &HeaderMap) -> Result<(), InfoError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status").map(|status| status.parse::<u32>().unwrap_or(u32::MAX)) {
        None | Some(0) => Ok(()),
        Some(status) => {
            let text = headers.get("grpc-message").map(|value| message(value.as_bytes()));
            Err(refused(url, status, text.unwrap_or_else(|| "no reason given".to_owned())))
        }
    }
}

/// Classifies a gRPC error. Go errors are sent with status 2 (unknown), so only the text distinguishes them
/// (go-livepeer `core/orchestrator.go`).
fn refused(url: &Url, status: u32, message: String) -> InfoError {
    let url = url.clone();
    match status {
        UNKNOWN if message.contains(CAPPED) => InfoError::NoCapacity(url),
        status => InfoError::Refused { url, status, message },
    }
}

/// Decodes and sanitizes a `grpc-message`, which the gRPC specification percent-encodes. Invalid escapes are kept.
fn message(encoded: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&first, more)) = rest.split_first() {
        let decoded = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        rest = match decoded {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest.get(3..).unwrap_or_default()
            }
            None => {
                bytes.push(first);
                more
            }
        };
    }
    sanitize::message(&String::from_utf8_lossy(&bytes))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Returns the message in one gRPC frame (flag 0, length, bytes); `None` if it is truncated, too long, or compressed.
pub fn unframe(frame: Bytes) -> Option<Bytes> {
    let (head, body) = frame.split_first_chunk::<5>()?;
    let [0, length @ ..] = head else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (body.len() == length).then(|| frame.slice(5..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilience::sanitize::MESSAGE_CHARS;

    #[track_caller]
    fn check(frame: &'static [u8], expected: Option<&'static [u8]>) {
        assert_eq!(unframe(Bytes::from_static(frame)), expected.map(Bytes::from_static));
    }

    #[test]
    fn a_message_is_decoded_and_sanitized() {
        #[track_caller]
        fn check(encoded: &[u8], expected: &str) {
            assert_eq!(message(encoded), expected);
        }
        check(b"insufficient capacity", "insufficient capacity");
        check(b"no%20such%20model%3A%20a%2Fb", "no such model: a/b");
        check(b"d%C3%A9j%c3%a0 100%", "d\u{e9}j\u{e0} 100%");
        check(b"50%zz %4 %", "50%zz %4 %");
        check(b"%0d%0aINFO all%1b[2J well%00", "  INFO all [2J well ");
        check(b"%E2%80%AE%ff", " \u{fffd}");
        check("d\u{e9}".as_bytes(), "d\u{e9}");
        assert_eq!(message(&b"%41".repeat(5000)).chars().count(), MESSAGE_CHARS);
    }

    #[test]
    fn an_orchestrator_at_capacity_is_known_by_its_error_text() {
        let url = Url::parse("https://o.example:8935").unwrap();
        let sort = |status, text: &str| refused(&url, status, text.to_owned());
        let full = sort(2, "Invalid orchestrator request: OrchestratorCapped");
        assert!(matches!(full, InfoError::NoCapacity(_)) && full.fault() == Fault::Retry);
        for (status, text) in [(2, "invalid sig"), (3, "OrchestratorCapped")] {
            let other = sort(status, text);
            assert!(matches!(other, InfoError::Refused { .. }) && other.fault() == Fault::NextPeer);
        }
    }

    #[test]
    fn only_complete_frames_are_accepted() {
        check(b"\0\0\0\0\x02ab", Some(b"ab"));
        check(b"\0\0\0\0\0", Some(b""));
        check(b"\0\0\0\0\x03ab", None);
        check(b"\0\0\0\0\x01ab", None);
        check(b"\x01\0\0\0\x02ab", None);
        check(b"\0\0\0", None);
        check(b"", None);
    }
}
