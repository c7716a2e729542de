//! A bounded queue of messages for a control channel; each message is a segment.
//!
//! Does not: send a lost message again; the publisher does.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::limits::CONTROL_MESSAGES;
use crate::segment::{Piece, PiecePlace, Pieces};

/// A queue of [`CONTROL_MESSAGES`] messages. The publication ends when every sender is gone.
pub fn messages() -> (MessageSender, Messages) {
    let (sender, receiver) = mpsc::channel(CONTROL_MESSAGES);
    (MessageSender(sender), Messages { queue: receiver, sending: None })
}

/// The message was not queued, and is returned.
#[derive(Clone, PartialEq, Eq, Error)]
pub enum NotSent {
    /// The queue is full: the channel sends messages more slowly than they come.
    #[error("the channel sends messages more slowly than they come")]
    Full(Bytes),
    /// The publication has ended.
    #[error("the channel has ended")]
    Ended(Bytes),
}

impl fmt::Debug for NotSent {
    /// Shows the length of the message only: parameters of a job may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(message) => write!(f, "Full({} bytes)", message.len()),
            Self::Ended(message) => write!(f, "Ended({} bytes)", message.len()),
        }
    }
}

/// Puts messages into the queue.
#[derive(Debug, Clone)]
pub struct MessageSender(mpsc::Sender<QueuedMessage>);

/// A message in the queue.
#[derive(Debug)]
struct QueuedMessage {
    piece: Piece,
    /// To be notified when the peer has answered the message.
    sent: Option<oneshot::Sender<()>>,
}

impl MessageSender {
    /// Queues `message`. It is sent again until the peer answers it.
    pub fn try_send(&self, message: Bytes) -> Result<(), NotSent> {
        self.queue(Piece { place: PiecePlace::Whole, bytes: message }, None)
    }

    /// As [`MessageSender::try_send`]. The receiver is notified when the peer has answered the message; its sender is
    /// dropped if the publication ends before.
    pub fn try_send_notified(&self, message: Bytes) -> Result<oneshot::Receiver<()>, NotSent> {
        let (sent, notified) = oneshot::channel();
        self.queue(Piece { place: PiecePlace::Whole, bytes: message }, Some(sent))?;
        Ok(notified)
    }

    /// Queues `message`, which is sent only once. Use it for messages that are useless when they are late.
    pub fn try_send_once(&self, message: Bytes) -> Result<(), NotSent> {
        self.queue(Piece { place: PiecePlace::Passing, bytes: message }, None)
    }

    /// Queues `message` as soon as the queue has room. Cancel safe: a dropped future queues nothing. The message is
    /// sent again until the peer answers it.
    pub async fn send(&self, message: Bytes) -> Result<(), NotSent> {
        let piece = Piece { place: PiecePlace::Whole, bytes: message };
        let sent = self.0.send(QueuedMessage { piece, sent: None }).await;
        sent.map_err(|error| NotSent::Ended(error.0.piece.bytes))
    }

    fn queue(&self, piece: Piece, sent: Option<oneshot::Sender<()>>) -> Result<(), NotSent> {
        self.0.try_send(QueuedMessage { piece, sent }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(message) => NotSent::Full(message.piece.bytes),
            mpsc::error::TrySendError::Closed(message) => NotSent::Ended(message.piece.bytes),
        })
    }
}

/// The receiving end of the queue, for a [`Publisher`](super::Publisher).
#[derive(Debug)]
pub struct Messages {
    queue: mpsc::Receiver<QueuedMessage>,
    /// To be notified when the message that was taken last is answered.
    sending: Option<oneshot::Sender<()>>,
}

impl Pieces for Messages {
    async fn next(&mut self) -> Option<Piece> {
        // The publisher takes a message after the answer to the one before it.
        if let Some(sent) = self.sending.take() {
            // The sender of the message may have lost interest.
            let _ = sent.send(());
        }
        let QueuedMessage { piece, sent } = self.queue.recv().await?;
        self.sending = sent;
        Some(piece)
    }

    fn resync(&mut self) {
        // Each message is a whole segment, so no pieces have to be skipped.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_or_ended_queue_returns_the_message() {
        let (sender, mut queue) = messages();
        for n in 0..CONTROL_MESSAGES {
            assert_eq!(sender.try_send(Bytes::from(vec![u8::try_from(n).unwrap()])), Ok(()));
        }
        let one = Bytes::from_static(b"one too many");
        assert_eq!(sender.try_send(one.clone()), Err(NotSent::Full(one.clone())));
        let first = queue.next().await.expect("a message");
        assert_eq!(first, Piece { place: PiecePlace::Whole, bytes: Bytes::from_static(&[0]) });
        assert_eq!(sender.try_send(one.clone()), Ok(()));
        drop(queue);
        assert_eq!(sender.try_send(one.clone()), Err(NotSent::Ended(one)));
    }

    #[tokio::test]
    async fn a_sender_is_notified_once_the_publisher_asks_for_the_next_message() {
        let (sender, mut queue) = messages();
        let mut sent = sender.try_send_notified(Bytes::from_static(b"a")).unwrap();
        queue.next().await.expect("a message");
        assert!(sent.try_recv().is_err());
        sender.try_send(Bytes::from_static(b"b")).unwrap();
        queue.next().await.expect("a message");
        assert_eq!(sent.try_recv(), Ok(()));
        let unsent = sender.try_send_notified(Bytes::from_static(b"c")).unwrap();
        drop(queue);
        assert!(unsent.await.is_err());
    }

    #[tokio::test]
    async fn the_queue_ends_with_its_last_sender() {
        let (sender, mut queue) = messages();
        drop(sender);
        assert_eq!(queue.next().await, None);
    }
}
