//! Answers `net.Orchestrator/GetOrchestrator` on an HTTP/2 connection.
//!
//! A full orchestrator refuses this call, before a job is started: `checkLiveVideoToVideoCapacity` in go-livepeer's
//! `server/rpc.go`.
//!
//! Does not: offer other methods; their answer is gRPC status 12, unimplemented.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request as HttpRequest, Response};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::offer::NoCapacity;
use crate::record::{Request, Target};
use crate::script::{Failure, InfoFailure};
use crate::world::{InfoTerms, World};
use livepeer_gateway::limits::GRPC_MESSAGE;
use livepeer_gateway::orchestrator::proto::OrchestratorRequest;

const METHOD: &str = "/net.Orchestrator/GetOrchestrator";
/// Maximum number of calls at a time on one connection.
const CALLS: u32 = 16;
/// The status "unknown", which Go gives to errors without a status.
const UNKNOWN: u32 = 2;
/// The message if the model is not offered or all capacity is in use.
const CAPPED: &str = "Invalid orchestrator request: OrchestratorCapped";
const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;

/// A gRPC error: status and message.
struct GrpcError(u32, String);

/// Serves a connection until it ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    world: Arc<World>,
) -> Result<(), h2::Error> {
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(CALLS)
        .max_header_list_size(16 << 10)
        .handshake::<_, Bytes>(stream)
        .await?;
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(accepted) => {
                    let (request, respond) = accepted?;
                    calls.spawn(call(request, respond, Arc::clone(&world)));
                }
                None => return Ok(()),
            },
            Some(ended) = calls.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::debug!("sandbox: gRPC call failed: {error}"),
                Err(error) => if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                },
            },
        }
    }
}

async fn call(
    request: HttpRequest<RecvStream>,
    mut respond: SendResponse<Bytes>,
    world: Arc<World>,
) -> Result<(), h2::Error> {
    let is_info = request.uri().path() == METHOD;
    let (head, mut body) = request.into_parts();
    let message = read(&mut body).await?;
    record(&world, &head, is_info, message.as_deref());
    let failures = if is_info { failures(&world) } else { Vec::new() };
    let mut terms = InfoTerms::default();
    for failure in failures {
        match failure {
            InfoFailure::Delay(delay) => sleep(delay).await,
            InfoFailure::NoToken => terms.token = false,
            InfoFailure::OldToken => terms.token_age = world.options.timings.token,
            InfoFailure::OldTerms => terms.age = world.options.timings.terms,
            InfoFailure::Refuse { code, message } => {
                return refuse(&mut respond, &GrpcError(code, message));
            }
            InfoFailure::Garbage => return answer(&mut respond, b"\xff\xffno protobuf"),
            InfoFailure::Reset => {
                respond.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
    let info = match (is_info, message) {
        (false, _) => Err(GrpcError(UNIMPLEMENTED, "unknown service or method".to_owned())),
        (true, None) => Err(GrpcError(RESOURCE_EXHAUSTED, "message is too long".to_owned())),
        (true, Some(message)) => info(&world, &message, &terms),
    };
    match info {
        Ok(info) => answer(&mut respond, &info),
        Err(refused) => refuse(&mut respond, &refused),
    }
}

fn info(world: &World, message: &[u8], terms: &InfoTerms) -> Result<Vec<u8>, GrpcError> {
    let bad = |reason: &str| GrpcError(INVALID_ARGUMENT, reason.to_owned());
    // The prefix is a flag, 0 for an uncompressed message, and the length.
    let (prefix, message) = message.split_first_chunk::<5>().ok_or_else(|| bad("no message"))?;
    let [0, length @ ..] = *prefix else { return Err(bad("compression is not supported")) };
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(bad("message length does not fit"));
    }
    let request = OrchestratorRequest::decode(message).map_err(|e| bad(&e.to_string()))?;
    world.check_payer(&request).map_err(|reason| GrpcError(UNKNOWN, reason.to_owned()))?;
    world.info(&request, terms).map_err(|NoCapacity| GrpcError(UNKNOWN, CAPPED.to_owned()))
}

/// Reads the whole body; `None` if it is too long.
async fn read(body: &mut RecvStream) -> Result<Option<BytesMut>, h2::Error> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        if whole.len() + part.len() > GRPC_MESSAGE {
            return Ok(None);
        }
        whole.extend_from_slice(&part);
    }
    Ok(Some(whole))
}

fn record(world: &World, head: &http::request::Parts, is_info: bool, body: Option<&[u8]>) {
    let header = |(name, value): (&http::HeaderName, &HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    world.lock().record.add(Request {
        method: head.method.to_string(),
        target: if is_info { Target::Info } else { Target::Other },
        body: body.unwrap_or_default().to_vec(),
        headers: head.headers.iter().map(header).collect(),
    });
    world.note();
}

/// The scripted failures of this call: at most a delay, followed by one other failure.
fn failures(world: &World) -> Vec<InfoFailure> {
    let script = &mut world.lock().script;
    let mut next = |delay: bool| {
        script.take(|failure| {
            let Failure::Info(failure) = failure else { return None };
            (matches!(failure, InfoFailure::Delay(_)) == delay).then(|| failure.clone())
        })
    };
    [next(true), next(false)].into_iter().flatten().collect()
}

fn answer(respond: &mut SendResponse<Bytes>, message: &[u8]) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(head(), false)?;
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    stream.send_data(framed.freeze(), false)?;
    stream.send_trailers(status(0, ""))
}

fn refuse(respond: &mut SendResponse<Bytes>, refused: &GrpcError) -> Result<(), h2::Error> {
    let mut response = head();
    response.headers_mut().extend(status(refused.0, &refused.1));
    respond.send_response(response, true).map(drop)
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}

fn status(code: u32, message: &str) -> HeaderMap {
    let mut status = HeaderMap::new();
    status.insert("grpc-status", HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(message) {
        status.insert("grpc-message", message);
    }
    status
}
