//! Carries the pieces of one publication: one POST for each segment, the next one always connected beforehand.
//!
//! There are at most 1 ahead, 1 current and 2 ended POSTs, each with a connection of its own; a spare
//! one serves the next POST ahead. Any of them may be answered at any time, and is heard at once. One piece
//! is in hand, [`POST_PIECES`](crate::capacity::POST_PIECES) are in the body; all else waits where the
//! pieces come from.
//!
//! Does not: decide what answers mean; [`Publication`] does.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use tokio::sync::mpsc::OwnedPermit;

use crate::fault::Fault;
use crate::segment::{Piece, Pieces, Place, Seq};
use crate::stop::Stop;
use crate::trickle::io::flight::{Flight, Stage};
use crate::trickle::io::jitter;
use crate::trickle::io::link::{Link, Task};
use crate::trickle::io::post::{Body, Outcome, Post};
use crate::trickle::io::publisher::Publisher;
use crate::trickle::{Answer, Decision, LinkError, Progress, Publication, Why};

/// The time for the DELETE of a segment whose fate is unknown.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Why an upload ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// We stopped it, or there are no more pieces.
    Finished,
    /// The publication is over.
    Over(Why),
    /// The peer cannot be used at all.
    Fatal(LinkError),
}

/// The piece in hand.
#[derive(Debug)]
enum Hand {
    Empty,
    /// A segment is to begin with it.
    Opener {
        whole: bool,
        bytes: Bytes,
        since: Instant,
    },
    /// The current POST is to take it.
    Chunk {
        whole: bool,
        bytes: Bytes,
        since: Instant,
    },
}

/// What happens to an upload.
enum Event {
    Stop,
    /// A POST came to its end; it is no longer in its place.
    Answered(Stage, Post, Outcome),
    /// A time limit may have passed.
    Deadline,
    /// The current POST takes a piece, or never will again.
    Room(Option<OwnedPermit<Bytes>>),
    /// The source gave a piece, or has no more.
    Piece(Option<Piece>),
}

/// The state of an upload.
pub(super) struct Upload<P> {
    publisher: Publisher,
    pieces: P,
    publication: Publication,
    hand: Hand,
    flight: Flight,
    spare: Option<Link>,
    /// No pre-connect before this time.
    retry_at: Option<Instant>,
    /// The DELETE of a segment whose fate is unknown.
    closing: Option<Task<()>>,
    /// The last thing that went wrong.
    cause: Option<LinkError>,
    /// Since when something goes wrong and nothing right.
    trouble: Option<Instant>,
}

impl<P: Pieces> Upload<P> {
    pub(super) fn new(
        publisher: Publisher,
        pieces: P,
        publication: Publication,
        spare: Option<Link>,
    ) -> Self {
        Self {
            publisher,
            pieces,
            publication,
            hand: Hand::Empty,
            flight: Flight::default(),
            spare,
            retry_at: None,
            closing: None,
            cause: None,
            trouble: None,
        }
    }

    /// Uploads until there is a reason to stop.
    pub(super) async fn run(&mut self, stop: &mut Stop) -> Ending {
        loop {
            if let Err(why) = self.arrange() {
                return Ending::Over(why);
            }
            let event = self.next_event(stop).await;
            let ending = self.on(event);
            let in_flight = u64::try_from(self.publication.in_flight()).unwrap_or(u64::MAX);
            self.publisher.counters.in_flight.store(in_flight, Ordering::Relaxed);
            let is_troubled = self.trouble.is_some();
            self.publisher.counters.is_troubled.store(is_troubled, Ordering::Relaxed);
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Brings the POSTs in line with what comes next.
    fn arrange(&mut self) -> Result<(), Why> {
        self.preconnect();
        let Hand::Opener { whole, bytes, since } = &mut self.hand else { return Ok(()) };
        let (whole, bytes, since) = (*whole, std::mem::take(bytes), *since);
        self.flight.end_current();
        let may_begin = !self.publication.is_full();
        let Some(mut post) = self.flight.ahead.take_if(|_| may_begin) else {
            self.hand = Hand::Opener { whole, bytes, since };
            return Ok(());
        };
        let seq = self.publication.take_seq()?;
        log::debug!("{}: segment {seq} begins", self.publisher.route.channel);
        let now = Instant::now();
        post.began = now;
        self.flight.current = Some(post);
        self.hand = Hand::Chunk { whole, bytes, since: now };
        self.preconnect();
        Ok(())
    }

    /// Keeps the POST of the upcoming seq connected. One that is not the upcoming one any more, after a
    /// loss, has sent nothing and is dropped, which closes its socket.
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

    async fn next_event(&mut self, stop: &mut Stop) -> Event {
        let deadline = self.deadline();
        let room = match (&self.hand, &self.flight.current) {
            (Hand::Chunk { .. }, Some(post)) => post.room(),
            _ => None,
        };
        let room = async move {
            match room {
                Some(room) => room.await,
                None => pending().await,
            }
        };
        let Self { pieces, hand, flight, .. } = self;
        tokio::select! {
            biased;
            () = stop.wait() => Event::Stop,
            (stage, post, outcome) = flight.outcome() => Event::Answered(stage, post, outcome),
            () = sleep_until(deadline) => Event::Deadline,
            room = room => Event::Room(room),
            piece = pieces.next(), if matches!(hand, Hand::Empty) => Event::Piece(piece),
        }
    }

    /// The next time at which a limit passes.
    fn deadline(&self) -> Option<Instant> {
        let times = &self.publisher.times;
        let chunk = match &self.hand {
            Hand::Chunk { since, .. } => Some(*since + times.chunk),
            Hand::Opener { whole: false, since, .. } => Some(*since + times.opener),
            Hand::Empty | Hand::Opener { .. } => None,
        };
        let oldest = self.flight.ended.first().filter(|_| self.publication.is_full());
        let slow = oldest.map(|post| post.ended + times.slow);
        let answer = self.flight.ended.first().map(|post| post.ended + times.answer);
        let leave = self.trouble.map(|since| since + times.leave);
        [self.retry_at, chunk, answer, slow, leave].into_iter().flatten().min()
    }

    fn on(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Stop | Event::Piece(None) => Some(Ending::Finished),
            Event::Answered(stage, post, outcome) => {
                self.spare = outcome.spare.or(self.spare.take());
                self.on_outcome(stage, &post, outcome.result)
            }
            Event::Deadline => self.on_deadline(Instant::now()),
            Event::Room(permit) => {
                self.on_room(permit);
                None
            }
            Event::Piece(Some(Piece { place, bytes })) => {
                self.hand = match place {
                    Place::Begin => Hand::Opener { whole: false, bytes, since: Instant::now() },
                    Place::Whole => Hand::Opener { whole: true, bytes, since: Instant::now() },
                    Place::Continue if self.flight.current.is_some() => {
                        Hand::Chunk { whole: false, bytes, since: Instant::now() }
                    }
                    // The rest of a segment that was lost.
                    Place::Continue => Hand::Empty,
                    Place::End => {
                        self.flight.end_current();
                        Hand::Empty
                    }
                };
                None
            }
        }
    }

    fn on_room(&mut self, permit: Option<OwnedPermit<Bytes>>) {
        let Hand::Chunk { whole, bytes, .. } = std::mem::replace(&mut self.hand, Hand::Empty)
        else {
            return;
        };
        // Without room the body is gone; why, the POST's outcome will say.
        if let Some(permit) = permit {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.publisher.counters.bytes.fetch_add(length, Ordering::Relaxed);
            if let Some(post) = &mut self.flight.current {
                // A connection that was made since then is a way to the peer.
                let is_new = post.is_taken() && post.connects_since > self.trouble;
                self.trouble.take_if(|_| is_new);
                post.bytes += length;
            }
            permit.send(bytes);
        }
        if whole {
            self.flight.end_current();
        }
    }

    fn on_deadline(&mut self, now: Instant) -> Option<Ending> {
        let times = self.publisher.times;
        if self.trouble.is_some_and(|since| since + times.leave <= now) {
            return Some(Ending::Over(Why::Unreachable));
        }
        self.retry_at.take_if(|at| *at <= now);
        if self.flight.ended.first().is_some_and(|post| post.ended + times.answer <= now) {
            let post = self.flight.ended.remove(0);
            return self.on_outcome(Stage::Ended, &post, Err(LinkError::Timeout));
        }
        let oldest = self.flight.ended.first().filter(|_| self.publication.is_full());
        if oldest.is_some_and(|post| post.ended + times.slow <= now) {
            return Some(Ending::Over(Why::TooSlow));
        }
        if matches!(&self.hand, Hand::Opener { whole: false, since, .. } if *since + times.opener <= now)
        {
            // The picture is old by now: the newest one begins the next segment.
            self.hand = Hand::Empty;
            self.pieces.resync();
        }
        if matches!(&self.hand, Hand::Chunk { since, .. } if *since + times.chunk <= now) {
            let post = self.flight.current.take()?;
            return self.on_outcome(Stage::Current, &post, Err(LinkError::Timeout));
        }
        None
    }

    /// A POST, no longer in its place, was answered, broke, or took too long.
    fn on_outcome(
        &mut self,
        stage: Stage,
        post: &Post,
        result: Result<Answer, LinkError>,
    ) -> Option<Ending> {
        let progress = stage.progress(post);
        let channel = &self.publisher.route.channel;
        let counters = &self.publisher.counters;
        let seq = post.seq;
        let complete = progress == Progress::Ended
            && matches!(&result, Ok(answer) if answer.status == 200 && !answer.closed);
        let decision = match result {
            Ok(answer) => {
                log::debug!("{channel}: segment {seq} answered {} ({progress:?})", answer.status);
                self.publication.on_answer(seq, &answer, progress, jitter())
            }
            Err(error) if error.fault() != Fault::Retry => return Some(Ending::Fatal(error)),
            Err(error) => {
                log::debug!("{channel}: segment {seq} broke ({progress:?}): {error}");
                let is_refused = error.is_refused();
                self.cause = Some(error);
                self.publication.on_broken(seq, progress, is_refused, jitter())
            }
        };
        if complete {
            self.trouble = None;
            let micros = u64::try_from(post.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            counters.segments.fetch_add(1, Ordering::Relaxed);
            counters.last_upload_micros.store(micros, Ordering::Relaxed);
        } else if stage != Stage::Ahead || !matches!(self.hand, Hand::Empty) {
            self.trouble.get_or_insert_with(Instant::now);
        }
        if !complete && stage != Stage::Ahead {
            // Counted; whether it means anything, the publication decides.
            log::debug!("{channel}: segment {seq} is lost");
            counters.lost.fetch_add(1, Ordering::Relaxed);
        }
        if stage == Stage::Current {
            self.hand = Hand::Empty;
            self.pieces.resync();
        }
        self.obey(decision)
    }

    fn obey(&mut self, decision: Decision) -> Option<Ending> {
        match decision {
            // The reset itself is part of the upcoming POST.
            Decision::Proceed | Decision::Reset => {}
            Decision::Close(seq) => self.closing = Some(self.close_segment(seq)),
            Decision::RetryAfter(pause) => self.retry_at = Some(Instant::now() + pause),
            Decision::End(why) => return Some(Ending::Over(why)),
        }
        None
    }

    fn close_segment(&self, seq: Seq) -> Task<()> {
        let route = Arc::clone(&self.publisher.route);
        Task::spawn(async move {
            let path = route.channel.segment_path(seq);
            let request = route.request(Method::DELETE, &path, Body::None);
            // Nothing depends on it: readers get over a lost segment by themselves, only later.
            let _ = tokio::time::timeout(CLOSE_TIME, route.exchange(None, request)).await;
        })
    }

    /// Ends the segment under way, waits for the last answers and deletes the channel, each in half of the
    /// time. Tells the last thing that went wrong before.
    pub(super) async fn finish(mut self, ending: &Ending) -> Option<LinkError> {
        self.publisher.counters.in_flight.store(0, Ordering::Relaxed);
        self.publisher.counters.is_troubled.store(false, Ordering::Relaxed);
        self.flight.ahead = None;
        self.closing = None;
        let half = self.publisher.times.stop / 2;
        match ending {
            Ending::Finished => {
                self.flight.end_current();
                let _ = tokio::time::timeout(half, self.last_answers()).await;
            }
            Ending::Over(Why::Closed | Why::Missing) | Ending::Fatal(_) => return self.cause,
            Ending::Over(Why::Lost | Why::TooSlow | Why::Refused(_) | Why::Unreachable) => {}
        }
        self.flight.current = None;
        self.flight.ended.clear();
        self.publisher.route.delete_channel(self.spare.take(), half).await;
        self.cause
    }

    async fn last_answers(&mut self) {
        while !self.flight.ended.is_empty() {
            let (stage, post, outcome) = self.flight.outcome().await;
            self.spare = outcome.spare.or(self.spare.take());
            // What it decides does not matter any more; what it counts does.
            let _ = self.on_outcome(stage, &post, outcome.result);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
