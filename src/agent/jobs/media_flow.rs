//! Converts the camera's pieces for the publisher, and notifies the payer of each segment that begins.
//!
//! Does not: change or delay a piece.

use tokio::sync::watch;

use livepeer_gateway::segment::{Piece, PiecePlace, Pieces};
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
        let media::TsPiece { place, bytes } = self.pieces.next().await?;
        let place = match place {
            media::TsPiecePlace::Begin => PiecePlace::Begin,
            media::TsPiecePlace::Continue => PiecePlace::Continue,
            media::TsPiecePlace::End => PiecePlace::End,
        };
        if place == PiecePlace::Begin {
            self.media.send_replace(());
        }
        Some(Piece { place, bytes })
    }

    fn resync(&mut self) {
        self.pieces.resync();
    }
}
