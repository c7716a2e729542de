//! Hands the camera's pieces to the publisher, and reports each segment that begins to the payer.
//!
//! Does not: change or delay a piece.

use tokio::sync::watch;

use livepeer_gateway::segment::{Piece, Pieces, Place};
use media::io::SegmentPieces;

/// Pieces on their way to the publisher.
#[derive(Debug)]
pub struct MediaFlow {
    pieces: SegmentPieces,
    media: watch::Sender<()>,
}

impl MediaFlow {
    /// The same pieces, and what sees them pass; it ends with them.
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
