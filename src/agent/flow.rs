//! Tells the payer that media flows: once for each segment that begins.
//!
//! Does not: change or delay a piece.

use tokio::sync::watch;

use crate::segment::{Piece, Pieces, Place};

/// Pieces on their way to the publisher.
#[derive(Debug)]
pub(super) struct Flow<P> {
    pieces: P,
    media: watch::Sender<()>,
}

impl<P> Flow<P> {
    /// The same pieces, and what sees them pass; it ends with them.
    pub(super) fn new(pieces: P) -> (Self, watch::Receiver<()>) {
        let (media, seen) = watch::channel(());
        (Self { pieces, media }, seen)
    }
}

impl<P: Pieces> Pieces for Flow<P> {
    async fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.next().await;
        if piece.as_ref().is_some_and(|piece| matches!(piece.place, Place::Begin | Place::Whole)) {
            self.media.send_replace(());
        }
        piece
    }

    fn resync(&mut self) {
        self.pieces.resync();
    }
}
