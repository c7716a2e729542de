//! Converts the camera's pieces for the publisher, and notifies the payer of each segment that begins.
//!
//! Does not: change or delay a piece.

use tokio::sync::watch;

use livepeer_gateway::segment::{Piece, Pieces, Place};
use media::io::SegmentPieces;

/// The pieces of a publication.
#[derive(Debug)]
pub struct MediaFlow {
    pieces: SegmentPieces,
    media: watch::Sender<()>,
}

impl MediaFlow {
    /// Wraps `pieces`. The receiver is notified of each segment that begins, and closes when the flow is dropped.
    pub fn new(pieces: SegmentPieces) -> (Self, watch::Receiver<()>) {
        let (media, seen) = watch::channel(());
        (Self { pieces, media }, seen)
    }
}

impl Pieces for MediaFlow {
    async fn next(&mut self) -> Option<Piece> {
        let media::Piece { place, bytes } = self.pieces.next().await?;
        let place = match place {
            media::Place::Begin => Place::Begin,
            media::Place::Continue => Place::Continue,
            media::Place::End => Place::End,
        };
        if place == Place::Begin {
            self.media.send_replace(());
        }
        Some(Piece { place, bytes })
    }

    fn resync(&mut self) {
        self.pieces.resync();
    }
}
