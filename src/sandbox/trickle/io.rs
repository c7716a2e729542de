//! Answers trickle requests on a connection: receives segments, and streams them to readers as their bytes arrive.
//!
//! Does not: choose segments; `channel` does.

use std::time::Instant;

use bytes::Bytes;
use tokio::time::sleep;

use crate::http1::io::{ByteStream, ConnectionError, Wire};
use crate::http1::{Answer, Head};
use crate::script::{Break, Role};
use crate::trickle::{Index, Readable, Segment, SharedChannel, TooMany, answers};
use crate::world::World;
use livepeer_gateway::limits::SEGMENT_BODY;

/// What to do with the connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterRequest {
    /// Read the next request.
    Next,
    /// Close the connection.
    Close,
    /// Discard the rest of the body, up to a limit, and close the connection (Go).
    DrainAndClose,
    /// Reset the connection.
    Reset,
    /// Leave the connection open without reading or writing.
    Stall,
}

type TrickleOutcome = Result<AfterRequest, ConnectionError>;

/// `POST {channel}`.
pub(crate) async fn create<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    name: &str,
) -> TrickleOutcome {
    let found = find_or_create(world, name, head.header("expect-content").unwrap_or_default());
    let answer = match found {
        Ok(Some(channel)) if is_wedged(&channel) => return Ok(AfterRequest::Stall),
        Ok(Some(_)) => answers::done(),
        Ok(None) => answers::no_channel(),
        Err(TooMany) => answers::too_much(),
    };
    reply(wire, answer).await
}

/// `DELETE {channel}`.
pub(crate) async fn delete<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    name: &str,
) -> TrickleOutcome {
    if world.channel(name).as_ref().is_some_and(is_wedged) {
        return Ok(AfterRequest::Stall);
    }
    let refused = world.lock().script.delete(Role::of(name));
    if let Some(status) = refused {
        return reply(wire, Answer::new(status)).await;
    }
    let deleted = world.delete(name);
    reply(wire, if deleted { answers::done() } else { answers::nothing_to_delete() }).await
}

/// `DELETE {channel}/{seq}`.
pub(crate) async fn delete_segment<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    name: &str,
    index: &str,
) -> TrickleOutcome {
    let Some(channel) = world.channel(name) else {
        return reply(wire, answers::no_channel()).await;
    };
    if is_wedged(&channel) {
        return Ok(AfterRequest::Stall);
    }
    let answer = match Index::parse(index) {
        None => answers::no_index(),
        Some(Index::Seq(seq)) if channel.lock().close_segment(seq) => answers::done(),
        Some(Index::Seq(_)) => answers::no_segment_to_delete(),
        Some(Index::Next | Index::Current | Index::Invalid) => {
            channel.lock().wedge();
            return Ok(AfterRequest::Close);
        }
    };
    reply(wire, answer).await
}

/// `GET {channel}/{seq}` and `GET {channel}/next`. For HEAD, the answer has no body.
pub(crate) async fn subscribe<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    name: &str,
    index: &str,
    body: bool,
) -> TrickleOutcome {
    let Some(channel) = world.channel(name) else {
        return reply(wire, answers::no_channel()).await;
    };
    if is_wedged(&channel) {
        return Ok(AfterRequest::Stall);
    }
    if index == "next" {
        let next = channel.lock().next();
        return reply(wire, answers::next(next)).await;
    }
    let Some(wanted) = Index::parse(index) else {
        return reply(wire, answers::no_index()).await;
    };
    let failure = world.lock().script.read(Role::of(name));
    if let Some((0, then)) = failure
        && let Some(after) = break_off(wire, world, name, then).await?
    {
        return Ok(after);
    }
    let (found, latest) = {
        let mut channel = channel.lock();
        (channel.read(wanted), channel.next())
    };
    match found {
        None => Ok(AfterRequest::Close),
        Some(Readable::Missing) => reply(wire, answers::no_segment(index, latest)).await,
        Some(Readable::Segment(segment)) => {
            let reading = SegmentReading { channel, segment, latest, body };
            reading.stream(wire, world, name, failure.filter(|(after, _)| *after > 0)).await
        }
    }
}

/// A segment that is sent to a subscriber.
struct SegmentReading {
    channel: SharedChannel,
    segment: std::sync::Arc<Segment>,
    /// The leading edge at the time of the request.
    latest: u64,
    body: bool,
}

impl SegmentReading {
    async fn stream<S: ByteStream>(
        self,
        wire: &mut Wire<S>,
        world: &World,
        name: &str,
        failure: Option<(u64, Break)>,
    ) -> TrickleOutcome {
        let mut sent = 0;
        loop {
            let part = tokio::select! {
                () = wire.gone() => return Ok(AfterRequest::Close),
                part = self.segment.after(sent) => part,
            };
            let (bytes, ended) = (part.bytes, part.end.is_some());
            if sent == 0 && bytes.is_empty() {
                let (latest, closed) = {
                    let channel = self.channel.lock();
                    (channel.next(), channel.is_closed())
                };
                return reply(wire, answers::empty_segment(self.segment.seq, latest, closed)).await;
            }
            wire.write(&self.framed(sent == 0, &bytes, ended)).await?;
            sent += bytes.len();
            if ended || !self.body {
                return Ok(AfterRequest::Next);
            }
            if let Some((after, then)) = failure {
                if sent as u64 >= after && then != Break::DeleteChannel {
                    return Ok(after_break(then));
                }
                if sent as u64 >= after {
                    world.delete(name);
                }
            }
        }
    }

    /// The next bytes to write: the head of the answer if `first`, then `bytes` as a chunk, then the end of the body if
    /// `ended`.
    fn framed(&self, first: bool, bytes: &[u8], ended: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 256);
        if first {
            let content_type = self.channel.lock().content_type().to_owned();
            let head = answers::segment(&content_type, self.segment.seq, self.latest, self.body);
            out.extend_from_slice(&head.to_bytes());
        }
        if self.body {
            if !bytes.is_empty() {
                out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            if ended {
                out.extend_from_slice(b"0\r\n\r\n");
            }
        }
        out
    }
}

/// `POST {channel}/{seq}`.
pub(crate) async fn publish<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    name: &str,
    index: &str,
) -> TrickleOutcome {
    let content_type = head.header("content-type").unwrap_or_default();
    let channel = match find_or_create(world, name, content_type) {
        Ok(Some(channel)) if is_wedged(&channel) => return Ok(AfterRequest::Stall),
        Ok(Some(channel)) => channel,
        Ok(None) => return refuse(wire, answers::no_channel_to_publish()).await,
        Err(TooMany) => return refuse(wire, answers::too_much()).await,
    };
    let Some(wanted) = Index::parse(index) else {
        return reply(wire, answers::no_index()).await;
    };
    let reset = head.header("lp-trickle-reset").is_some_and(|value| !value.is_empty());
    let Some(segment) = channel.lock().write(wanted, reset) else {
        return Ok(AfterRequest::Close);
    };
    world.check_seq(name, &channel, &segment);
    // Yield, so that readers of the replaced segment see the leading edge before it moves.
    tokio::task::yield_now().await;
    let mut failure = world.lock().script.post(Role::of(name));
    if let Some((0, then)) = failure {
        if let Some(after) = break_off(wire, world, name, then).await? {
            return Ok(after);
        }
        failure = None;
    }
    if head.expects_continue() {
        wire.write(&Answer::new(100).to_bytes()).await?;
    }
    let Some(first) = first_piece(wire, world, &segment).await? else {
        // Without a first byte, the segment was closed, or the body is empty.
        let closed = {
            let mut channel = channel.lock();
            if !channel.is_closed() {
                channel.advance(segment.seq, Instant::now());
            }
            channel.is_closed()
        };
        segment.close();
        wire.write(&answers::not_wanted(segment.seq, closed).to_bytes()).await?;
        return Ok(AfterRequest::Close);
    };
    channel.lock().advance(segment.seq, Instant::now());
    world.note();
    let mut piece = Some(first);
    let mut received = 0;
    while let Some(bytes) = piece {
        received += bytes.len() as u64;
        if !segment.write(&bytes, SEGMENT_BODY) {
            return refuse(wire, answers::too_much()).await;
        }
        if let Some((_, then)) = failure.take_if(|(after, _)| received >= *after)
            && let Some(after) = break_off(wire, world, name, then).await?
        {
            return Ok(after);
        }
        piece = next_piece(wire).await?;
    }
    segment.complete();
    reply(wire, answers::published(segment.seq)).await
}

/// The first bytes of a body; `None` if it is empty, or the segment is closed first. Sends `100 Continue` at each
/// interval while the publisher has not sent a byte.
async fn first_piece<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    segment: &Segment,
) -> Result<Option<Bytes>, ConnectionError> {
    loop {
        tokio::select! {
            biased;
            () = segment.closed() => return Ok(None),
            piece = next_piece(wire) => return piece,
            () = sleep(world.options.timings.continue_every) => {
                wire.write(&Answer::new(100).to_bytes()).await?;
                world.lock().record.counters.continues += 1;
                world.note();
            }
        }
    }
}

/// Reads the next bytes of a body. If the connection ends within the body, answers with an error.
async fn next_piece<S: ByteStream>(wire: &mut Wire<S>) -> Result<Option<Bytes>, ConnectionError> {
    match wire.piece().await {
        Err(error @ (ConnectionError::Ended | ConnectionError::Malformed)) => {
            wire.write(&answers::broken_body().to_bytes()).await?;
            Err(error)
        }
        piece => piece,
    }
}

async fn reply<S: ByteStream>(wire: &mut Wire<S>, answer: Answer) -> TrickleOutcome {
    let closes = answer.closes();
    wire.answer(answer).await?;
    Ok(if closes { AfterRequest::Close } else { AfterRequest::Next })
}

/// Answers a request whose body has not been read. The caller must return the result, so that the body is discarded.
async fn refuse<S: ByteStream>(wire: &mut Wire<S>, answer: Answer) -> TrickleOutcome {
    wire.write(&answer.to_bytes()).await?;
    Ok(AfterRequest::DrainAndClose)
}

/// Carries out a scripted break; `None` if the request continues.
async fn break_off<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    name: &str,
    then: Break,
) -> Result<Option<AfterRequest>, ConnectionError> {
    match then {
        Break::DeleteChannel => {
            world.delete(name);
            Ok(None)
        }
        Break::Answer(status) => {
            let answer = Answer::new(status).close().refusal("scripted failure");
            refuse(wire, answer).await.map(Some)
        }
        Break::Reset | Break::Close | Break::Stall => Ok(Some(after_break(then))),
    }
}

fn after_break(then: Break) -> AfterRequest {
    match then {
        Break::Reset => AfterRequest::Reset,
        Break::Stall => AfterRequest::Stall,
        Break::Close | Break::DeleteChannel | Break::Answer(_) => AfterRequest::Close,
    }
}

fn find_or_create(
    world: &World,
    name: &str,
    content_type: &str,
) -> Result<Option<SharedChannel>, TooMany> {
    match world.channel(name) {
        None if world.options.autocreate => world.create(name, content_type).map(Some),
        found => Ok(found),
    }
}

fn is_wedged(channel: &SharedChannel) -> bool {
    channel.lock().is_wedged()
}
