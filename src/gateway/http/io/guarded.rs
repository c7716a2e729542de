//! A connection that fails when its peer sends more bytes than the owner allows.
//!
//! The runtime has one thread for all connections, so no peer may keep it busy: parsing a megabyte of tiny frames takes
//! longer than a frame of video lasts.
//!
//! Does not: parse what is sent; the owner sets the limit.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::io::MaybeTlsStream;

/// Maximum number of interim answers to one request in a second. A real trickle server sends one every 10 s to a
/// waiting publisher.
const INTERIMS: u32 = 1000;

/// The number of bytes that a peer may still send. Clones share the number: the connection counts it down, and the
/// owner may set it to zero.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// An allowance of this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Call before `request` is sent over this HTTP/1.1 connection. The answer's length is not limited here. More than
    /// 1000 interim answers (1xx) in a second set the allowance to zero, because a peer could keep the runtime busy
    /// with them.
    pub(super) fn end_at_flood<B>(&self, request: &mut Request<B>) {
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

    /// Whether the allowance is used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A connection that reads up to its allowance, and then fails.
#[derive(Debug)]
pub(crate) struct GuardedStream {
    stream: MaybeTlsStream,
    left: Allowance,
}

impl GuardedStream {
    /// Limits what is read from `stream` to `left`.
    pub(crate) fn new(stream: MaybeTlsStream, left: Allowance) -> Self {
        Self { stream, left }
    }
}

impl AsyncRead for GuardedStream {
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
        // The owner may change the allowance at the same time.
        let _ = this.left.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(read))
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
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
