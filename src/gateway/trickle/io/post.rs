//! One POST of a segment: its head is sent at once, its body piece by piece, and its answer may come at any time.
//!
//! The body ends only by [`Post::end`]. A POST that is dropped before that closes its connection without the last
//! chunk, so that the server does not take a part of a segment for a complete one.
//!
//! Does not: decide what an answer means.

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
use crate::trickle::io::link::{ChannelConnection, ChannelRoute};
use crate::trickle::{LinkError, TrickleAnswer, wire};
use resilience::wait::AbortOnDrop;

/// The progress of a body, shared by its writer and its transport.
#[derive(Debug, Default)]
struct BodyProgress {
    /// The writer ended the body.
    ended: AtomicBool,
    /// The transport took the first piece.
    taken: AtomicBool,
}

/// The body of a request.
#[derive(Debug)]
pub(super) enum RequestBody {
    /// GET and DELETE.
    None,
    /// The pieces of a segment, one chunk each.
    Pieces(PieceBody),
}

/// The transport's end of a segment's body.
#[derive(Debug)]
pub(super) struct PieceBody {
    pieces: mpsc::Receiver<Bytes>,
    mark: Arc<BodyProgress>,
}

/// The writer was dropped before the end of its segment.
#[derive(Debug, thiserror::Error)]
#[error("the segment was dropped before its end")]
pub(super) struct TornBody;

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = TornBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TornBody>>> {
        let Self::Pieces(body) = self.get_mut() else { return Poll::Ready(None) };
        Poll::Ready(match ready!(body.pieces.poll_recv(cx)) {
            Some(piece) => {
                body.mark.taken.store(true, Ordering::Relaxed);
                Some(Ok(Frame::data(piece)))
            }
            None if body.mark.ended.load(Ordering::Relaxed) => None,
            None => Some(Err(TornBody)),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// The result of a POST.
#[derive(Debug)]
pub(super) struct PostOutcome {
    /// The final answer, or the reason why none came.
    pub(super) result: Result<TrickleAnswer, LinkError>,
    /// The connection, if it can carry another request.
    pub(super) spare: Option<ChannelConnection>,
}

/// A POST in progress.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) seq: Seq,
    /// Whether the POST carries `Lp-Trickle-Reset: 1`.
    pub(super) reset: bool,
    /// When the first piece came.
    pub(super) began: Instant,
    /// When the body ended.
    pub(super) ended: Instant,
    writer: Option<mpsc::Sender<Bytes>>,
    mark: Arc<BodyProgress>,
    task: AbortOnDrop<PostOutcome>,
}

impl Post {
    /// Starts the POST of `seq` over `spare`, or over a new connection, and sends the head.
    pub(super) fn start(
        route: Arc<ChannelRoute>,
        mime: HeaderValue,
        spare: Option<ChannelConnection>,
        seq: Seq,
        reset: bool,
    ) -> Self {
        let (writer, pieces) = mpsc::channel(POST_PIECES);
        let mark = Arc::new(BodyProgress::default());
        let body = RequestBody::Pieces(PieceBody { pieces, mark: Arc::clone(&mark) });
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
                    Err(error) => return PostOutcome { result: Err(error), spare: None },
                };
                let (head, body) = response.into_parts();
                let answer = TrickleAnswer::new(head.status.as_u16(), &head.headers);
                // The rest of an early answer is not read, because a connection cannot be reused in the middle of a
                // body.
                let spare = if mark.ended.load(Ordering::Relaxed) && !answer.closed {
                    link.finish(body).await.1
                } else {
                    None
                };
                PostOutcome { result: Ok(answer), spare }
            }
        });
        Self { seq, reset, began: now, ended: now, writer: Some(writer), mark, task }
    }

    /// A future that waits for room for one piece in the body. `None` after [`Post::end`].
    pub(super) fn room(
        &self,
    ) -> Option<impl Future<Output = Option<mpsc::OwnedPermit<Bytes>>> + use<>> {
        let room = self.writer.clone()?.reserve_owned();
        Some(async { room.await.ok() })
    }

    /// Ends the body: its pieces are the complete segment.
    pub(super) fn end(&mut self) {
        self.mark.ended.store(true, Ordering::Relaxed);
        self.writer = None;
        self.ended = Instant::now();
    }

    /// Whether a byte of the body may have been sent.
    pub(super) fn is_taken(&self) -> bool {
        self.mark.taken.load(Ordering::Relaxed)
    }

    /// Waits for the outcome.
    pub(super) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<PostOutcome> {
        Pin::new(&mut self.task).poll(cx).map(|outcome| {
            outcome.unwrap_or(PostOutcome { result: Err(LinkError::Timeout), spare: None })
        })
    }
}
