//! Uploads the pieces of one publication: one POST for each segment, with the next POST connected in advance.
//!
//! At most 1 POST is ahead, 1 current and 2 ended, each on its own connection; a spare connection serves the next POST
//! ahead. Any POST may be answered at any time. At most one piece is pending and
//! [`POST_PIECES`](crate::limits::POST_PIECES) are in the body; all other pieces wait in their source.
//!
//! An outage begins when a connection breaks while a segment waits. Older connections are not reused then, so that the
//! next connection shows whether the peer can be reached. A new connection or any answer ends the outage, even if the
//! next segment takes long. An outage that lasts for
//! [`PublishTimes::leave`](crate::trickle::io::PublishTimes::leave) ends the publication, and so does a lost message
//! that is not delivered for as long.
//!
//! Does not: decide what answers mean; [`Publication`] does.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc::OwnedPermit;

use crate::segment::{Piece, PiecePlace, Pieces, Seq};
use crate::trickle::io::flight::{Flight, PostStage};
use crate::trickle::io::link::ChannelConnection;
use crate::trickle::io::post::{Post, PostOutcome};
use crate::trickle::io::publisher::Publisher;
use crate::trickle::pending::{PendingPiece, PendingState};
use crate::trickle::{
    EndReason, LinkError, PostAttempt, Publication, PublicationDecision, TrickleAnswer,
    UploadProgress, retry_pause,
};
use resilience::backoff::jitter;
use resilience::fault::Fault;
use resilience::stop::Stop;
use resilience::wait::{AbortOnDrop, sleep_until};

/// Why an upload ends.
#[derive(Debug)]
pub(super) enum UploadEnd {
    /// The caller stopped the upload, or the pieces ended.
    Finished,
    /// The publication decided to end.
    Over(EndReason),
    /// A failure that another attempt does not cure.
    Fatal(LinkError),
}

/// An event of an upload.
enum UploadEvent {
    Stop,
    /// A POST ended, and was removed from the flight.
    Answered(PostStage, Post, PostOutcome),
    /// A time limit may have passed.
    Deadline,
    /// The current POST has room for a piece; `None` if its body is closed.
    Room(Option<OwnedPermit<Bytes>>),
    /// The source gave a piece; `None` if it ended.
    Piece(Option<Piece>),
}

/// The state of an upload.
pub(super) struct Upload<P> {
    publisher: Publisher,
    pieces: P,
    publication: Publication,
    pending: PendingPiece,
    flight: Flight,
    spare: Option<ChannelConnection>,
    /// The next POST is not connected before this time.
    retry_at: Option<Instant>,
    /// The DELETE of a segment that may not have arrived.
    closing: Option<AbortOnDrop<()>>,
    /// The last failure since the last complete segment.
    cause: Option<LinkError>,
    /// When a connection broke; `None` once a new one is made.
    outage: Option<Instant>,
}

impl<P: Pieces> Upload<P> {
    pub(super) fn new(
        publisher: Publisher,
        pieces: P,
        publication: Publication,
        spare: Option<ChannelConnection>,
    ) -> Self {
        Self {
            publisher,
            pieces,
            publication,
            pending: PendingPiece::default(),
            flight: Flight::default(),
            spare,
            retry_at: None,
            closing: None,
            cause: None,
            outage: None,
        }
    }

    /// Uploads until the publication ends.
    pub(super) async fn run(&mut self, stop: &mut Stop) -> UploadEnd {
        loop {
            if let Err(why) = self.arrange() {
                return UploadEnd::Over(why);
            }
            let event = self.next_event(stop).await;
            let ending = self.on(event);
            let in_flight = u64::try_from(self.publication.in_flight()).unwrap_or(u64::MAX);
            self.publisher.counters.in_flight.store(in_flight, Ordering::Relaxed);
            let is_failing = self.outage.is_some();
            let was_failing =
                self.publisher.counters.is_failing.swap(is_failing, Ordering::Relaxed);
            if is_failing && !was_failing {
                self.publisher.counters.outages.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Begins the waiting segment if it may begin, and keeps the next POST connected.
    fn arrange(&mut self) -> Result<(), EndReason> {
        self.preconnect();
        if !matches!(self.pending.state, PendingState::FirstPiece(..)) {
            return Ok(());
        }
        self.flight.end_current();
        let may_begin = match self.pending.is_message() {
            true => self.publication.in_flight() == 0,
            false => !self.publication.is_full(),
        };
        let Some(mut post) = self.flight.ahead.take_if(|_| may_begin) else { return Ok(()) };
        let seq = self.publication.take_seq()?;
        log::debug!("{}: segment {seq} begins", self.publisher.route.channel);
        let now = Instant::now();
        post.began = now;
        self.flight.current = Some(post);
        self.pending.begin(seq, now);
        self.preconnect();
        Ok(())
    }

    /// Keeps a POST of the upcoming seq connected. After a loss the upcoming seq changes: the POST of the old one has sent
    /// no byte and is dropped, which closes its socket.
    fn preconnect(&mut self) {
        let (seq, reset) = self.publication.upcoming();
        self.flight.ahead.take_if(|post| (post.seq, post.reset) != (seq, reset));
        if self.flight.ahead.is_none() && self.retry_at.is_none() {
            let Publisher { route, mime, .. } = &self.publisher;
            let spare = self.spare.take();
            self.flight.ahead =
                Some(Post::start(Arc::clone(route), mime.clone(), spare, seq, reset));
        }
    }

    async fn next_event(&mut self, stop: &mut Stop) -> UploadEvent {
        let deadline = self.deadline();
        let room = match (&self.pending.state, &self.flight.current) {
            (PendingState::NextPiece(..), Some(post)) => post.room(),
            _ => None,
        };
        let room = async move {
            match room {
                Some(room) => room.await,
                None => pending().await,
            }
        };
        let Self { pieces, pending, flight, .. } = self;
        tokio::select! {
            biased;
            () = stop.wait() => UploadEvent::Stop,
            (stage, post, outcome) = flight.outcome() => UploadEvent::Answered(stage, post, outcome),
            () = sleep_until(deadline) => UploadEvent::Deadline,
            room = room => UploadEvent::Room(room),
            piece = pieces.next(), if pending.is_free() => UploadEvent::Piece(piece),
        }
    }

    /// The earliest time limit.
    fn deadline(&self) -> Option<Instant> {
        let times = &self.publisher.times;
        let piece = match self.pending.state {
            PendingState::NextPiece(_, since) => Some(since + times.chunk),
            PendingState::FirstPiece(_, since) => {
                (!self.pending.is_message()).then(|| since + times.first_piece)
            }
            PendingState::Resend(at) => Some(at),
            PendingState::Empty => None,
        };
        let oldest = self.flight.ended.first().filter(|_| self.publication.is_full());
        let slow = oldest.map(|post| post.ended + times.slow);
        let answer = self.flight.ended.first().map(|post| post.ended + times.answer);
        let stalled = self.stalled_since().map(|since| since + times.leave);
        [self.retry_at, piece, answer, slow, stalled].into_iter().flatten().min()
    }

    /// Whether a segment is being sent or waits to be sent.
    fn has_media_to_send(&self) -> bool {
        let is_sending = self.flight.current.is_some() || self.publication.in_flight() > 0;
        is_sending || self.pending.is_waiting() || !self.pending.is_free()
    }

    /// Time of the first failure since the last delivery.
    fn stalled_since(&self) -> Option<Instant> {
        [self.outage, self.pending.failed_since()].into_iter().flatten().min()
    }

    fn on(&mut self, event: UploadEvent) -> Option<UploadEnd> {
        let flows = self.has_media_to_send();
        self.outage.take_if(|since| !flows || self.publisher.route.has_opened_since(*since));
        match event {
            UploadEvent::Stop | UploadEvent::Piece(None) => Some(UploadEnd::Finished),
            UploadEvent::Answered(stage, post, outcome) => {
                self.spare = outcome.spare.or(self.spare.take());
                self.on_outcome(stage, &post, outcome.result)
            }
            UploadEvent::Deadline => self.on_deadline(Instant::now()),
            UploadEvent::Room(permit) => {
                self.on_room(permit);
                None
            }
            UploadEvent::Piece(Some(piece)) => {
                if piece.place == PiecePlace::End {
                    self.flight.end_current();
                }
                self.pending.put(piece, self.flight.current.is_some(), Instant::now());
                None
            }
        }
    }

    fn on_room(&mut self, permit: Option<OwnedPermit<Bytes>>) {
        let Some(bytes) = self.pending.take_bytes() else { return };
        // If there is no permit, the body is closed; the outcome of the POST has the reason.
        if let Some(permit) = permit {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.publisher.counters.bytes.add(length, Instant::now());
            permit.send(bytes);
        }
        if self.pending.is_message() {
            self.flight.end_current();
        }
    }

    fn on_deadline(&mut self, now: Instant) -> Option<UploadEnd> {
        let times = self.publisher.times;
        if self.stalled_since().is_some_and(|since| since + times.leave <= now) {
            return Some(UploadEnd::Over(EndReason::Stalled(times.leave)));
        }
        self.retry_at.take_if(|at| *at <= now);
        self.pending.resend_if_due(now);
        if self.flight.ended.first().is_some_and(|post| post.ended + times.answer <= now) {
            let post = self.flight.ended.remove(0);
            return self.on_outcome(PostStage::Ended, &post, Err(LinkError::Timeout));
        }
        let oldest = self.flight.ended.first().filter(|_| self.publication.is_full());
        if oldest.is_some_and(|post| post.ended + times.slow <= now) {
            return Some(UploadEnd::Over(EndReason::TooSlow));
        }
        match self.pending.state {
            PendingState::FirstPiece(_, since)
                if !self.pending.is_message() && since + times.first_piece <= now =>
            {
                // The picture is old, so the newest one begins the next segment.
                self.pending.drop_first_piece();
                self.pieces.resync();
                None
            }
            PendingState::NextPiece(_, since) if since + times.chunk <= now => {
                let post = self.flight.current.take()?;
                self.on_outcome(PostStage::Current, &post, Err(LinkError::Timeout))
            }
            PendingState::Empty
            | PendingState::FirstPiece(..)
            | PendingState::NextPiece(..)
            | PendingState::Resend(_) => None,
        }
    }

    /// Handles the answer or failure of a POST that was removed from the flight.
    fn on_outcome(
        &mut self,
        stage: PostStage,
        post: &Post,
        result: Result<TrickleAnswer, LinkError>,
    ) -> Option<UploadEnd> {
        let channel = &self.publisher.route.channel;
        let (seq, message) = (post.seq, self.pending.message_at(post.seq));
        let is_idle = stage == PostStage::Ahead && !self.pending.is_waiting();
        let progress = if is_idle { UploadProgress::Idle } else { stage.progress(post) };
        let is_awaited = progress == UploadProgress::Unsent && stage == PostStage::Ahead;
        let is_repeated = message == Some(true) || (is_awaited && self.pending.is_message());
        let attempt = PostAttempt { seq, progress, is_repeated };
        let complete = progress == UploadProgress::Ended
            && matches!(&result, Ok(answer) if answer.status == 200 && !answer.closed);
        let broke = result.is_err() && progress != UploadProgress::Idle;
        let decision = match result {
            Ok(answer) => {
                log::debug!("{channel}: segment {seq} answered {} ({progress:?})", answer.status);
                self.outage = None;
                self.cause = (!complete).then_some(LinkError::Answered(answer.status));
                self.publication.on_answer(attempt, &answer, jitter())
            }
            Err(error) if error.fault() != Fault::Retry => return Some(UploadEnd::Fatal(error)),
            Err(error) => {
                log::debug!("{channel}: segment {seq} broke ({progress:?}): {error}");
                let is_refused = error.is_refused();
                self.cause = Some(error);
                self.spare = None;
                self.flight.ahead = None;
                self.publication.on_broken(attempt, is_refused, jitter())
            }
        };
        if complete {
            self.count(post);
            if message.is_some() {
                self.pending.end_message();
            }
        } else if stage != PostStage::Ahead {
            self.lose(stage, seq);
        } else if is_awaited {
            self.pending.keep_message(Instant::now());
        }
        if broke && self.has_media_to_send() {
            self.outage.get_or_insert_with(Instant::now);
        }
        self.obey(decision)
    }

    /// Call when a segment is complete.
    fn count(&self, post: &Post) {
        let counters = &self.publisher.counters;
        let now = Instant::now();
        counters.segments.add(1, now);
        counters.uploads.add(now.saturating_duration_since(post.began), now);
    }

    /// Counts a lost segment and prepares the next one. The publication decides whether to continue.
    fn lose(&mut self, stage: PostStage, seq: Seq) {
        log::debug!("{}: segment {seq} is lost", self.publisher.route.channel);
        self.publisher.counters.lost.fetch_add(1, Ordering::Relaxed);
        if self.pending.message_at(seq).is_some() {
            let now = Instant::now();
            self.pending.lose_message(now, now + retry_pause(jitter()));
        } else if stage == PostStage::Current {
            self.pending.lose_media();
            self.pieces.resync();
        }
    }

    fn obey(&mut self, decision: PublicationDecision) -> Option<UploadEnd> {
        match decision {
            // The upcoming POST carries the reset.
            PublicationDecision::Proceed | PublicationDecision::Reset => {}
            PublicationDecision::Close(seq) => {
                let route = Arc::clone(&self.publisher.route);
                self.closing =
                    Some(AbortOnDrop::spawn(async move { route.close_segment(seq).await }));
            }
            PublicationDecision::RetryAfter(pause) => self.retry_at = Some(Instant::now() + pause),
            PublicationDecision::End(why) => return Some(UploadEnd::Over(why)),
        }
        None
    }

    /// Ends the open segment, waits for the last answers and deletes the channel, each within half of
    /// [`PublishTimes::stop`](crate::trickle::io::PublishTimes::stop). Returns the last failure, and whether the peer
    /// confirmed that the channel does not exist any more.
    pub(super) async fn finish(mut self, ending: &UploadEnd) -> (Option<LinkError>, bool) {
        self.publisher.counters.in_flight.store(0, Ordering::Relaxed);
        self.publisher.counters.is_failing.store(false, Ordering::Relaxed);
        self.flight.ahead = None;
        self.closing = None;
        let half = self.publisher.times.stop / 2;
        match ending {
            UploadEnd::Finished => {
                self.flight.end_current();
                let _ = tokio::time::timeout(half, self.last_answers()).await;
            }
            UploadEnd::Over(EndReason::Closed | EndReason::Missing) => return (self.cause, true),
            UploadEnd::Fatal(_) => return (self.cause, false),
            UploadEnd::Over(_) => {}
        }
        self.flight.current = None;
        self.flight.ended.clear();
        let is_deleted = self.publisher.route.delete_channel(self.spare.take(), half).await;
        (self.cause, is_deleted)
    }

    async fn last_answers(&mut self) {
        while !self.flight.ended.is_empty() {
            let (stage, post, outcome) = self.flight.outcome().await;
            self.spare = outcome.spare.or(self.spare.take());
            // Ignore the decision, because the publication has ended; the call updates the counters.
            let _ = self.on_outcome(stage, &post, outcome.result);
        }
    }
}
