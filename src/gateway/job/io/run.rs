//! Runs a started job from its first segment to its end, for a program without an event loop of its own.
//!
//! Does not: read the processed video ([`Subscriber`](crate::trickle::io::Subscriber) does), or start another job when
//! this one fails.

use std::sync::Arc;

use http::HeaderValue;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::job::StartedJob;
use crate::payment::PaymentError;
use crate::payment::io::PaymentOutcome;
use crate::segment::{Piece, PiecePlace, Pieces};
use crate::session::Network;
use crate::trickle::io::{Published, Publisher};
use crate::trickle::{ChannelEnd, TrickleError};
use resilience::fault::chain;
use resilience::stop::Stop;

/// Why a job did not run to the end of its media.
#[derive(Debug, Error)]
pub enum RunError {
    /// The job cannot be paid any longer.
    #[error("the job cannot be paid")]
    Payment(#[source] PaymentError),
    /// The segments cannot be delivered.
    #[error("the job's video cannot be published")]
    Publish(#[source] TrickleError),
}

impl StartedJob {
    /// Publishes `pieces` to the job as MPEG-TS and pays while segments begin. Ends the job after the last piece, when
    /// `stop` is signalled, or when the job cannot continue. Await the future to its end. If it is dropped earlier, the
    /// orchestrator is not told that the job has ended until [`Endings`](crate::endings::io::Endings) requests that in
    /// the background.
    pub async fn run(
        mut self,
        network: &Network,
        pieces: impl Pieces,
        mut stop: Stop,
    ) -> Result<ChannelEnd, RunError> {
        let publish = self.channels().publish.clone();
        let mime = HeaderValue::from_static("video/mp2t");
        let connector = Arc::clone(&network.connector);
        let publisher = Publisher::new(connector, publish, mime, Arc::default());
        let (begun, media) = watch::channel(());
        let (stopper, publishing_stop) = Stop::new();
        let (reports, mut paid) = mpsc::channel(1);
        let payments = self.take_payments();
        let publishing = publisher.publish(AnnouncedPieces { pieces, begun }, publishing_stop);
        // The payments end with the pieces, which hold the sender of `media`.
        let paying = async {
            if let Some(payments) = payments {
                payments.run(media, reports).await;
            }
        };
        let unpaid = async move {
            while let Some(report) = paid.recv().await {
                match report.outcome {
                    PaymentOutcome::Leave(error) | PaymentOutcome::Failed(error) => return error,
                    PaymentOutcome::Later(error) => {
                        log::warn!("payment failed, retrying: {}", chain(&error))
                    }
                    PaymentOutcome::NotYet | PaymentOutcome::Paid | PaymentOutcome::Skipped => {}
                }
            }
            std::future::pending().await
        };
        let watching = async {
            let _publishes = stopper;
            tokio::select! {
                () = stop.wait() => None,
                error = unpaid => Some(error),
            }
        };
        let publishing = async {
            tokio::pin!(publishing, watching);
            tokio::select! {
                published = &mut publishing => (published, None),
                unpaid = &mut watching => (publishing.await, unpaid),
            }
        };
        // A payment in progress must not delay the end of the job.
        let (Published { end, is_deleted }, unpaid) = {
            tokio::pin!(publishing);
            tokio::select! {
                ended = &mut publishing => ended,
                () = paying => publishing.await,
            }
        };
        if let Some(owed) = self.end().filter(|_| is_deleted) {
            owed.confirm();
        }
        self.stop().await;
        match unpaid {
            Some(error) => Err(RunError::Payment(error)),
            None => end.map_err(RunError::Publish),
        }
    }
}

/// Pieces that report the begin of each segment to the payer.
struct AnnouncedPieces<P> {
    pieces: P,
    begun: watch::Sender<()>,
}

impl<P: Pieces> Pieces for AnnouncedPieces<P> {
    async fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.next().await?;
        if matches!(piece.place, PiecePlace::Begin | PiecePlace::Whole) {
            self.begun.send_replace(());
        }
        Some(piece)
    }

    fn resync(&mut self) {
        self.pieces.resync();
    }
}
