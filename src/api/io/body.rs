//! The body of an answer.
//!
//! Does not: choose what to send.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::events::EventStream;
use super::live::Viewer;

/// The body of an answer.
pub(super) enum Body {
    /// Bytes that are complete; taken when they are sent.
    Whole(Option<Bytes>),
    /// Live video, until the client or the agent ends it.
    Live(Viewer),
    /// Events, until the client or the agent ends them.
    Events(EventStream),
    /// The body for the answer to a HEAD request, if the length of the GET answer is not known.
    Unknown,
}

impl Body {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Live(viewer) => viewer.poll_next(cx).map(|bytes| Some(Ok(Frame::data(bytes)))),
            Self::Events(events) => {
                events.poll_next(cx).map(|message| message.map(|message| Ok(Frame::data(message))))
            }
            Self::Unknown => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Live(_) | Self::Events(_) | Self::Unknown => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Live(_) | Self::Events(_) | Self::Unknown => SizeHint::default(),
        }
    }
}
