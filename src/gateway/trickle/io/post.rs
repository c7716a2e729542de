//! One POST of a segment: its head goes out at once, its body piece by piece, its answer is seen whenever it comes.
//!
//! The body ends only when it is told to. A POST that is dropped before that closes its connection without
//! the last chunk, so that the server does not take half a segment for a whole one.
//!
//! Does not: decide what an answer means.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use http_body::Frame;
use tokio::sync::mpsc;

use crate::limits::POST_PIECES;
use crate::segment::Seq;
use crate::trickle::io::link::{Link, Route};
use crate::trickle::{LinkError, TrickleAnswer, wire};
use resilience::wait::AbortOnDrop;

/// What is known of a body on both of its ends.
#[derive(Debug, Default)]
struct Mark {
    /// The writer ended it.
    ended: AtomicBool,
    /// The transport took a first piece.
    taken: AtomicBool,
}

/// The body of a request.
#[derive(Debug)]
pub(super) enum Body {
    /// GET and DELETE.
    None,
    /// The pieces of a segment, one chunk each.
    Pieces(PieceBody),
}

/// The reading end of a segment's body.
#[derive(Debug)]
pub(super) struct PieceBody {
    pieces: mpsc::Receiver<Bytes>,
    mark: Arc<Mark>,
}

/// The writer went away in mid-segment.
#[derive(Debug)]
pub(super) struct Torn;

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the segment was dropped before its end")
    }
}

impl std::error::Error for Torn {}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        let Self::Pieces(body) = self.get_mut() else { return Poll::Ready(None) };
        Poll::Ready(match ready!(body.pieces.poll_recv(cx)) {
            Some(piece) => {
                body.mark.taken.store(true, Ordering::Relaxed);
                Some(Ok(Frame::data(piece)))
            }
            None if body.mark.ended.load(Ordering::Relaxed) => None,
            None => Some(Err(Torn)),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// How a POST came out.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The final answer, or why there is none.
    pub(super) result: Result<TrickleAnswer, LinkError>,
    /// The connection, if it can carry another request.
    pub(super) spare: Option<Link>,
}

/// A POST under way.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) seq: Seq,
    /// Whether it carries `Lp-Trickle-Reset: 1`.
    pub(super) reset: bool,
    /// When its first piece was there.
    pub(super) began: Instant,
    /// When its body was ended.
    pub(super) ended: Instant,
    writer: Option<mpsc::Sender<Bytes>>,
    mark: Arc<Mark>,
    task: AbortOnDrop<Outcome>,
}

impl Post {
    /// Starts the POST of `seq`: connects where there is no `spare` connection, and sends the head.
    pub(super) fn start(
        route: Arc<Route>,
        mime: HeaderValue,
        spare: Option<Link>,
        seq: Seq,
        reset: bool,
    ) -> Self {
        let (writer, pieces) = mpsc::channel(POST_PIECES);
        let mark = Arc::new(Mark::default());
        let body = Body::Pieces(PieceBody { pieces, mark: Arc::clone(&mark) });
        let path = route.channel.segment_path(seq);
        let mut request = route.request(Method::POST, &path, body);
        request.headers_mut().insert(header::CONTENT_TYPE, mime);
        if reset {
            request.headers_mut().insert(wire::RESET, HeaderValue::from_static("1"));
        }
        let now = Instant::now();
        let task = AbortOnDrop::spawn({
            let mark = Arc::clone(&mark);
            async move {
                let (link, response) = match route.exchange(spare, request).await {
                    Ok(answered) => answered,
                    Err(error) => return Outcome { result: Err(error), spare: None },
                };
                let (head, body) = response.into_parts();
                let answer = TrickleAnswer::new(head.status.as_u16(), &head.headers);
                // An early answer counts at once; only after a whole body is its connection worth a wait.
                let spare = if mark.ended.load(Ordering::Relaxed) && !answer.closed {
                    link.finish(body).await.1
                } else {
                    None
                };
                Outcome { result: Ok(answer), spare }
            }
        });
        Self { seq, reset, began: now, ended: now, writer: Some(writer), mark, task }
    }

    /// Waits until the body takes a piece. `None` once the body was ended.
    pub(super) fn room(
        &self,
    ) -> Option<impl Future<Output = Option<mpsc::OwnedPermit<Bytes>>> + use<>> {
        let room = self.writer.clone()?.reserve_owned();
        Some(async { room.await.ok() })
    }

    /// Ends the body: what it was given is the whole segment.
    pub(super) fn end(&mut self) {
        self.mark.ended.store(true, Ordering::Relaxed);
        self.writer = None;
        self.ended = Instant::now();
    }

    /// Whether a byte of the body may be on its way.
    pub(super) fn is_taken(&self) -> bool {
        self.mark.taken.load(Ordering::Relaxed)
    }

    /// Waits for the outcome.
    pub(super) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.task).poll(cx).map(|outcome| {
            outcome.unwrap_or(Outcome { result: Err(LinkError::Timeout), spare: None })
        })
    }
}
