//! The POSTs of one publication that are in progress, by stage.
//!
//! ```text
//!             first piece          next Begin            answer
//!  ahead ────────────────▶ current ──────────▶ ended ──────────────▶ (its connection is reused)
//!  (head sent, no byte)                        (body complete)
//! ```
//!
//! Does not: start POSTs, or decide when one moves to the next stage.

use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::trickle::UploadProgress;
use crate::trickle::io::post::{Post, PostOutcome};

/// The stage of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PostStage {
    Ahead,
    Current,
    Ended,
}

impl PostStage {
    /// How far the upload of a POST in this stage has come.
    pub(super) fn progress(self, post: &Post) -> UploadProgress {
        match self {
            _ if !post.is_taken() => UploadProgress::Unsent,
            Self::Ahead | Self::Current => UploadProgress::Open,
            Self::Ended => UploadProgress::Ended,
        }
    }
}

/// The POSTs in progress: at most 1 ahead, 1 current, and the maximum number in flight ended.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub(super) ahead: Option<Post>,
    pub(super) current: Option<Post>,
    /// Oldest first.
    pub(super) ended: Vec<Post>,
}

impl Flight {
    /// Ends the body of the current POST, if there is one.
    pub(super) fn end_current(&mut self) {
        if let Some(mut post) = self.current.take() {
            post.end();
            self.ended.push(post);
        }
    }

    /// Waits until one of the POSTs ends, and removes it. Cancel safe.
    pub(super) async fn outcome(&mut self) -> (PostStage, Post, PostOutcome) {
        poll_fn(|cx| self.poll_outcome(cx)).await
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(PostStage, Post, PostOutcome)> {
        for (stage, place) in
            [(PostStage::Ahead, &mut self.ahead), (PostStage::Current, &mut self.current)]
        {
            if let Some(mut post) = place.take() {
                match post.poll_outcome(cx) {
                    Poll::Ready(outcome) => return Poll::Ready((stage, post, outcome)),
                    Poll::Pending => *place = Some(post),
                }
            }
        }
        for index in 0..self.ended.len() {
            let polled = self.ended.get_mut(index).map(|post| post.poll_outcome(cx));
            if let Some(Poll::Ready(outcome)) = polled {
                return Poll::Ready((PostStage::Ended, self.ended.remove(index), outcome));
            }
        }
        Poll::Pending
    }
}
