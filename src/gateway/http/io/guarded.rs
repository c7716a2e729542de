//! A connection that ends by itself where its peer sends more than it may.
//!
//! A runtime that serves everybody on one thread cannot leave it to a peer how much there is to do: a read of a
//! megabyte of tiny frames takes longer than a frame of video.
//!
//! Does not: know what is sent; its owner says how much is too much.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::io::Stream;

/// Interim answers to one request in a second. A real trickle server sends one every 10 s to a publisher that waits.
const INTERIMS: u32 = 1000;

/// How many more bytes a peer may send, seen from both ends: by who reads, and by who knows what was worth it.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// So many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// As much as the answer to `request` takes, which goes over this connection by HTTP/1.1; but nothing more once
    /// there are over 1000 interim answers (1xx) in a second. A peer that sends them without end could keep us
    /// busy as long as it likes.
    pub(crate) fn end_at_flood<B>(&self, request: &mut Request<B>) {
        self.0.store(usize::MAX, Ordering::Relaxed);
        let (left, seen) = (self.clone(), Mutex::new((Instant::now(), 0)));
        hyper::ext::on_informational(request, move |_| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let (second, count) = &mut *seen;
            if second.elapsed() >= Duration::from_secs(1) {
                (*second, *count) = (Instant::now(), 0);
            }
            *count += 1;
            if *count > INTERIMS {
                left.0.store(0, Ordering::Relaxed);
            }
        });
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A connection that reads no more than its allowance; what comes then is an error.
#[derive(Debug)]
pub(crate) struct Guarded {
    stream: Stream,
    left: Allowance,
}

impl Guarded {
    /// Guards `stream`.
    pub(crate) fn new(stream: Stream, left: Allowance) -> Self {
        Self { stream, left }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left.is_spent() {
            return Poll::Ready(Err(io::Error::other("the peer sends too much")));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        // What the owner allows meanwhile comes on top.
        let _ = this.left.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(read))
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
