//! Accepts connections and serves them: TLS or plain, HTTP/2 for gRPC, HTTP/1.1 for everything else.
//!
//! At most [`CONNECTIONS`] at a time; more wait in the system's queue. Dropping the handle ends every task at once.
//!
//! Does not: answer requests; each route has its own module.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::http1::io::{ByteStream, ConnectionError, Wire};
use crate::http1::{Answer, Head};
use crate::io::certificate::Tls;
use crate::io::{app, calls, grpc, start};
use crate::record::{Request, Target};
use crate::route::Route;
use crate::script::Role;
use crate::signer::io as signer;
use crate::trickle::io::{self as trickle, AfterRequest};
use crate::world::{AppLaunch, World};
use livepeer_gateway::limits::CONNECT_TIME;
use resilience::stop::Stop;

/// Maximum number of connections at a time.
const CONNECTIONS: usize = 512;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How long an idle connection is kept (go-livepeer's servers keep them for minutes).
const IDLE: Duration = Duration::from_secs(120);
/// How long to discard the rest of a body before the connection is closed.
const DRAIN_TIME: Duration = Duration::from_secs(60);
/// Go's answer to plain HTTP on a TLS port.
const NOT_PLAIN: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The service that a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Orchestrator,
    Signer,
}

/// The listening sockets of a sandbox and their TLS configurations.
pub(super) struct Ports {
    pub(super) orchestrator: TcpListener,
    pub(super) tls: Arc<Tls>,
    pub(super) signer: Option<TcpListener>,
    pub(super) signer_tls: Arc<Tls>,
}

impl Ports {
    fn listen(
        &self,
    ) -> std::io::Result<(tokio::net::TcpListener, Option<tokio::net::TcpListener>)> {
        let listen =
            |listener: &TcpListener| tokio::net::TcpListener::from_std(listener.try_clone()?);
        Ok((listen(&self.orchestrator)?, self.signer.as_ref().map(listen).transpose()?))
    }
}

/// A connection with access to its TCP socket.
trait Socket: ByteStream + Send + 'static {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Serves until `stop`.
pub(super) async fn run(
    ports: Ports,
    world: Arc<World>,
    mut jobs: mpsc::Receiver<AppLaunch>,
    mut stop: Stop,
) {
    let (orchestrator, signer) = match ports.listen() {
        Ok(listeners) => listeners,
        Err(error) => return log::error!("sandbox: cannot listen: {error}"),
    };
    let mut tasks = JoinSet::new();
    let mut sweep = every(world.options.timings.sweep);
    // Check more often than debits are due, so that debits are on time.
    let mut debit = every(world.options.timings.debit / 5);
    loop {
        tokio::select! {
            biased;
            () = stop.wait() => break,
            Some(ended) = tasks.join_next() => forward_panic(ended),
            _ = sweep.tick() => {
                let idle = world.options.timings.idle;
                let swept = world.lock().channels.sweep(Instant::now(), idle);
                if swept > 0 {
                    log::info!("sandbox: closed {swept} idle channels");
                    world.note();
                }
            }
            _ = debit.tick() => world.debit(),
            Some(launch) = jobs.recv() => {
                tasks.spawn(app::run(launch, Arc::clone(&world)));
            }
            accepted = accept(&orchestrator, signer.as_ref()), if tasks.len() < CONNECTIONS => {
                match accepted {
                    Ok((tcp, port)) => {
                        world.lock().record.counters.connections += 1;
                        let tls = match port {
                            Port::Orchestrator => &ports.tls,
                            Port::Signer => &ports.signer_tls,
                        };
                        tasks.spawn(connection(tcp, Arc::clone(&world), Arc::clone(tls), port));
                    }
                    Err(error) => {
                        log::warn!("sandbox: accept failed: {error}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        }
    }
    tasks.shutdown().await;
}

/// Accepts the next connection, and returns its port.
async fn accept(
    orchestrator: &tokio::net::TcpListener,
    signer: Option<&tokio::net::TcpListener>,
) -> std::io::Result<(TcpStream, Port)> {
    let signer = async {
        match signer {
            Some(signer) => signer.accept().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        accepted = orchestrator.accept() => accepted.map(|(tcp, _)| (tcp, Port::Orchestrator)),
        accepted = signer => accepted.map(|(tcp, _)| (tcp, Port::Signer)),
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// Panics if the task panicked: a panic in the sandbox must fail the test that uses it.
fn forward_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

async fn connection(tcp: TcpStream, world: Arc<World>, tls: Arc<Tls>, port: Port) {
    let mut first = [0];
    let is_tls = match timeout(IDLE, tcp.peek(&mut first)).await {
        Ok(Ok(1)) => first == [TLS_HANDSHAKE],
        Ok(_) | Err(_) => return,
    };
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    if is_tls {
        let Ok(Ok(stream)) = timeout(CONNECT_TIME, tls.acceptor().accept(tcp)).await else {
            return log::debug!("sandbox: TLS handshake failed");
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            if let Err(error) = grpc::serve(stream, world).await {
                log::debug!("sandbox: gRPC connection failed: {error}");
            }
        } else {
            serve(stream, &world, port, false).await;
        }
    } else if world.options.plain_http || port == Port::Signer {
        serve(tcp, &world, port, true).await;
    } else {
        let mut wire = Wire::new(tcp, world.options.timings.linger);
        if wire.write(NOT_PLAIN).await.is_ok() {
            wire.close().await;
        }
    }
}

/// Answers requests on an HTTP/1.1 connection, one after the other.
async fn serve<S: Socket>(stream: S, world: &World, port: Port, plain: bool) {
    let mut wire = Wire::new(stream, world.options.timings.linger);
    loop {
        let after = match timeout(IDLE, wire.head()).await {
            Ok(Ok(Some(head))) => {
                let after = match port {
                    Port::Orchestrator => request(&mut wire, world, &head, plain).await,
                    Port::Signer => signer::request(&mut wire, world, &head).await,
                };
                world.note();
                after.map(|a| {
                    if head.close && a == AfterRequest::Next { AfterRequest::Close } else { a }
                })
            }
            Ok(Err(ConnectionError::Malformed)) => {
                let answer = Answer::new(400)
                    .with("Content-Type", "text/plain; charset=utf-8")
                    .close()
                    .body("400 Bad Request");
                wire.write(&answer.to_bytes())
                    .await
                    .map(|()| AfterRequest::Close)
                    .map_err(ConnectionError::from)
            }
            Ok(Ok(None)) | Ok(Err(_)) | Err(_) => return,
        };
        match after {
            Ok(AfterRequest::Next) => {}
            Ok(AfterRequest::Close) | Err(ConnectionError::Ended | ConnectionError::Malformed) => {
                return wire.close().await;
            }
            Ok(AfterRequest::DrainAndClose) => {
                // The connection is closed after an error too.
                let _drained = timeout(DRAIN_TIME, wire.drain()).await;
                return wire.close().await;
            }
            Ok(AfterRequest::Reset) => return reset(&wire.into_stream()),
            Ok(AfterRequest::Stall) => return std::future::pending().await,
            Err(ConnectionError::Broken(error)) => {
                return log::debug!("sandbox: connection failed: {error}");
            }
        }
    }
}

/// Makes the connection end with a TCP reset when `stream` is dropped.
fn reset<S: Socket>(stream: &S) {
    if let Err(error) = stream.tcp().set_zero_linger() {
        log::warn!("sandbox: cannot reset a connection: {error}");
    }
}

async fn request<S: Socket>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    plain: bool,
) -> Result<AfterRequest, ConnectionError> {
    let route = Route::of(&head.method, &head.path);
    record(world, head, route);
    match route {
        Route::Create(name) => trickle::create(wire, world, head, name).await,
        Route::Delete(name) => trickle::delete(wire, world, name).await,
        Route::Publish(name, index) => trickle::publish(wire, world, head, name, index).await,
        Route::Subscribe { name, index, body } => {
            trickle::subscribe(wire, world, name, index, body).await
        }
        Route::DeleteSegment(name, index) => {
            trickle::delete_segment(wire, world, name, index).await
        }
        Route::Start => start::start(wire, world, head, plain).await,
        Route::Call(call) => calls::answer(wire, world, head, call).await,
        Route::Redirect(path, query) => {
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            let answer = Answer::new(307).with("Location", format!("{path}/{query}"));
            wire.answer(answer).await.map(|()| AfterRequest::Next)
        }
        Route::NotFound => {
            wire.answer(Answer::error(404, "404 page not found")).await.map(|()| AfterRequest::Next)
        }
        Route::NotAllowed(allow) => {
            let answer = Answer::new(405).with("Allow", allow).refusal("Method Not Allowed");
            wire.answer(answer).await.map(|()| AfterRequest::Next)
        }
    }
}

fn record(world: &World, head: &Head, route: Route<'_>) {
    let target = match (route, route.channel()) {
        // Calls are recorded in `call::receive`, with their bodies.
        (Route::Call(_), _) => return,
        (Route::Start, _) => Target::Start,
        (_, Some((name, None))) => Target::Channel(Role::of(name)),
        (_, Some((name, Some(index)))) => Target::Segment(Role::of(name), index.to_owned()),
        (_, None) => Target::Other,
    };
    log::debug!("sandbox: {} {target:?}", head.method);
    world.lock().record.add(Request {
        method: head.method.clone(),
        target,
        body: Vec::new(),
        headers: head.headers.clone(),
    });
    world.note();
}
