//! The queue of one viewer: bounded in pieces, bytes and time; a viewer that is too slow continues at the newest key
//! frame.
//!
//! A stream of MP4 has a head, which a player needs before its first piece. Each key frame carries the head that it
//! belongs to; the seat returns a head before the first piece, and again when it has changed.
//!
//! Does not: read the clock.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use media::mp4::Mp4Head;
use media::queue::Queue;

use super::limits::{VIEWER_BYTES, VIEWER_PIECES, VIEWER_TIME};

/// A piece of video.
#[derive(Debug, Clone)]
pub(super) struct VideoPiece {
    /// The head of the stream; with key frames only, and in MP4 only.
    pub(super) head: Option<Arc<Mp4Head>>,
    pub(super) bytes: Bytes,
    /// Whether a viewer can begin with this piece.
    pub(super) is_key: bool,
}

/// The queue of one viewer.
#[derive(Debug)]
pub(super) struct Seat(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Box<Queue<VideoPiece, VIEWER_PIECES>>,
    /// The head that was returned last.
    head: Option<Arc<Mp4Head>>,
    /// The next piece, which waits behind its head or for the viewer's first call.
    next: Option<VideoPiece>,
    waker: Option<Waker>,
}

impl Seat {
    /// A seat that begins at the next key frame.
    pub(super) fn new() -> Self {
        let mut queue = Box::new(Queue::new(VIEWER_BYTES, VIEWER_TIME));
        queue.restart();
        Self(Mutex::new(Inner { queue, head: None, next: None, waker: None }))
    }

    /// Adds a piece. Never waits.
    pub(super) fn push(&self, piece: VideoPiece, now: Instant) {
        let mut inner = self.lock();
        let (is_key, length) = (piece.is_key, piece.bytes.len());
        inner.queue.push(piece, is_key, length, now);
        let waker = take(&mut inner.waker);
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for the first piece, which stays in the seat. Returns the head that it belongs to, if it has one.
    pub(super) fn poll_first(
        &self,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Option<Arc<Mp4Head>>> {
        let mut inner = self.lock();
        match inner.fill(now) {
            true => Poll::Ready(inner.next.as_ref().and_then(|piece| piece.head.clone())),
            false => inner.wait(cx),
        }
    }

    /// Waits for the next bytes.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>, now: Instant) -> Poll<Bytes> {
        let mut inner = self.lock();
        if !inner.fill(now) {
            return inner.wait(cx);
        }
        let head = inner.next.as_ref().and_then(|piece| piece.head.clone());
        if let Some(head) = head.filter(|head| inner.head.as_ref() != Some(head)) {
            let bytes = head.bytes.clone();
            inner.head = Some(head);
            return Poll::Ready(bytes);
        }
        let piece = take(&mut inner.next);
        Poll::Ready(piece.map(|piece| piece.bytes).unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether there is a next piece now.
    fn fill(&mut self, now: Instant) -> bool {
        if self.next.is_none() {
            self.next = self.queue.pop(now).map(|popped| popped.item);
        }
        self.next.is_some()
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn head(codec: &str) -> Arc<Mp4Head> {
        Arc::new(Mp4Head { bytes: Bytes::from(format!("head {codec}")), codec: codec.to_owned() })
    }

    fn piece(bytes: &'static str, head: Option<&Arc<Mp4Head>>) -> VideoPiece {
        let is_key = bytes.starts_with(char::is_uppercase);
        VideoPiece { head: head.cloned(), bytes: Bytes::from_static(bytes.as_bytes()), is_key }
    }

    /// All queued bytes, separated by commas.
    fn drain(seat: &Seat, now: Instant) -> String {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(bytes) = seat.poll_next(&mut cx, now) {
            all.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        all.join(",")
    }

    #[test]
    fn a_viewer_begins_at_a_key_frame() {
        let (seat, now) = (Seat::new(), Instant::now());
        for bytes in ["a", "B", "c"] {
            seat.push(piece(bytes, None), now);
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(seat.poll_first(&mut cx, now), Poll::Ready(None));
        assert_eq!(drain(&seat, now), "B,c");
        assert_eq!(seat.poll_first(&mut cx, now), Poll::Pending);
    }

    #[test]
    fn a_head_is_given_once_and_again_when_it_changes() {
        let (seat, now) = (Seat::new(), Instant::now());
        let (one, same, other) = (head("one"), head("one"), head("other"));
        for (bytes, head) in
            [("A", Some(&one)), ("b", None), ("C", Some(&same)), ("D", Some(&other))]
        {
            seat.push(piece(bytes, head), now);
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(seat.poll_first(&mut cx, now), Poll::Ready(Some(one)));
        assert_eq!(drain(&seat, now), "head one,A,b,C,head other,D");
    }

    #[test]
    fn a_slow_viewer_continues_at_the_newest_key_frame() {
        let (seat, now) = (Seat::new(), Instant::now());
        let long = Bytes::from(vec![b'x'; VIEWER_BYTES / 4]);
        for n in 0..7 {
            let is_key = n % 2 == 0;
            seat.push(VideoPiece { head: None, bytes: long.clone(), is_key }, now);
        }
        let later = now + Duration::from_secs(1);
        seat.push(piece("z", None), later);
        let left = drain(&seat, later);
        assert_eq!((left.len(), left.ends_with(",z")), (3 * long.len() + 4, true));
        for n in 0..VIEWER_PIECES {
            seat.push(piece(if n == 200 { "K" } else { "n" }, None), now);
        }
        seat.push(piece("n", None), now);
        assert!(drain(&seat, now).starts_with('K'));
    }

    #[test]
    fn old_video_is_left_out() {
        let (seat, now) = (Seat::new(), Instant::now());
        seat.push(piece("A", None), now);
        let later = now + VIEWER_TIME + Duration::from_millis(1);
        seat.push(piece("B", None), later);
        assert_eq!(drain(&seat, later), "B");
    }
}
