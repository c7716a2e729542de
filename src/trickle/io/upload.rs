//! Carries the pieces of one publication: one POST for each segment, the next one always connected beforehand.
//!
//! ```text
//!             first piece          next Begin            answer
//!  ahead ────────────────▶ current ──────────▶ ended ──────────────▶ (its connection is spare)
//!  (head sent, no byte)                        (body complete)
//! ```
//!
//! There are at most 1 ahead, 1 current and 2 ended POSTs, each with a connection of its own; a spare
//! one serves the next POST ahead. Any of them may be answered at any time, and is heard at once. One piece
//! is in hand, [`POST_PIECES`](crate::capacity::POST_PIECES) are in the body; all else waits where the
//! pieces come from.
//!
//! Does not: decide what answers mean; [`Publication`] does.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use tokio::sync::mpsc::OwnedPermit;

use crate::fault::Fault;
use crate::segment::{Piece, Pieces, Place, Seq};
use crate::trickle::io::jitter;
use crate::trickle::io::link::{Link, Task};
use crate::trickle::io::post::{Body, Outcome, Post};
use crate::trickle::io::publisher::Publisher;
use crate::trickle::{Decision, LinkError, Progress, Publication, Why};

/// The time for the DELETE of a segment whose fate is unknown.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Why an upload stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// We stopped it, or there are no more pieces.
    Finished,
    /// The publication is over.
    Over(Why),
    /// The peer cannot be used at all.
    Fatal(LinkError),
}

/// Where a POST stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Ahead,
    Current,
    Ended,
}

/// The piece in hand.
#[derive(Debug)]
enum Hand {
    Empty,
    /// A segment is to begin with it.
    Opener {
        whole: bool,
        bytes: Bytes,
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
    Shutdown,
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
    ahead: Option<Post>,
    current: Option<Post>,
    /// Oldest first.
    ended: Vec<Post>,
    spare: Option<Link>,
    /// No pre-connect before this time.
    retry_at: Option<Instant>,
    /// The DELETE of a segment whose fate is unknown.
    closing: Option<Task<()>>,
    /// The last thing that went wrong.
    cause: Option<LinkError>,
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
            ahead: None,
            current: None,
            ended: Vec::new(),
            spare,
            retry_at: None,
            closing: None,
            cause: None,
        }
    }

    /// Uploads until there is a reason to stop.
    pub(super) async fn run(
        &mut self,
        mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Stop {
        loop {
            if let Err(why) = self.arrange() {
                return Stop::Over(why);
            }
            let event = self.next_event(shutdown.as_mut()).await;
            let stop = self.on(event);
            let in_flight = u64::try_from(self.publication.in_flight()).unwrap_or(u64::MAX);
            self.publisher.counters.in_flight.store(in_flight, Ordering::Relaxed);
            if let Some(stop) = stop {
                return stop;
            }
        }
    }

    /// Brings the POSTs in line with what comes next.
    fn arrange(&mut self) -> Result<(), Why> {
        self.preconnect();
        let Hand::Opener { whole, bytes } = &mut self.hand else { return Ok(()) };
        let (whole, bytes) = (*whole, std::mem::take(bytes));
        self.end_current();
        // Messages may come in bursts and wait; media that does would be late.
        let may_begin = !(whole && self.publication.is_full());
        let Some(mut post) = self.ahead.take_if(|_| may_begin) else {
            self.hand = Hand::Opener { whole, bytes };
            return Ok(());
        };
        let seq = self.publication.take_seq()?;
        log::debug!("{}: segment {seq} begins", self.publisher.route.channel);
        let now = Instant::now();
        post.began = now;
        self.current = Some(post);
        self.hand = Hand::Chunk { whole, bytes, since: now };
        self.preconnect();
        Ok(())
    }

    /// Keeps the POST of the upcoming seq connected. One that is not the upcoming one any more, after a
    /// loss, has sent nothing and is dropped, which closes its socket.
    fn preconnect(&mut self) {
        let (seq, reset) = self.publication.upcoming();
        self.ahead.take_if(|post| (post.seq, post.reset) != (seq, reset));
        if self.ahead.is_none() && self.retry_at.is_none() {
            let Publisher { route, mime, .. } = &self.publisher;
            let spare = self.spare.take();
            self.ahead = Some(Post::start(Arc::clone(route), mime.clone(), spare, seq, reset));
        }
    }

    fn end_current(&mut self) {
        if let Some(mut post) = self.current.take() {
            post.end();
            self.ended.push(post);
        }
    }

    async fn next_event(&mut self, shutdown: Pin<&mut (impl Future<Output = ()> + Send)>) -> Event {
        let deadline = self.deadline();
        let room = match (&self.hand, &self.current) {
            (Hand::Chunk { .. }, Some(post)) => post.room(),
            _ => None,
        };
        let room = async move {
            match room {
                Some(room) => room.await,
                None => pending().await,
            }
        };
        let Self { pieces, hand, ahead, current, ended, .. } = self;
        tokio::select! {
            biased;
            () = shutdown => Event::Shutdown,
            event = poll_fn(|cx| poll_posts(ahead, current, ended, cx)) => event,
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
            Hand::Empty | Hand::Opener { .. } => None,
        };
        let answer = self.ended.first().map(|post| post.ended + times.answer);
        [self.retry_at, chunk, answer].into_iter().flatten().min()
    }

    fn on(&mut self, event: Event) -> Option<Stop> {
        match event {
            Event::Shutdown | Event::Piece(None) => Some(Stop::Finished),
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
                    Place::Begin => Hand::Opener { whole: false, bytes },
                    Place::Whole => Hand::Opener { whole: true, bytes },
                    Place::Continue if self.current.is_some() => {
                        Hand::Chunk { whole: false, bytes, since: Instant::now() }
                    }
                    // The rest of a segment that was lost.
                    Place::Continue => Hand::Empty,
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
            permit.send(bytes);
        }
        if whole {
            self.end_current();
        }
    }

    fn on_deadline(&mut self, now: Instant) -> Option<Stop> {
        let times = self.publisher.times;
        self.retry_at.take_if(|at| *at <= now);
        if self.ended.first().is_some_and(|post| post.ended + times.answer <= now) {
            let post = self.ended.remove(0);
            return self.on_outcome(Stage::Ended, &post, Err(LinkError::Timeout));
        }
        if matches!(&self.hand, Hand::Chunk { since, .. } if *since + times.chunk <= now) {
            let post = self.current.take()?;
            return self.on_outcome(Stage::Current, &post, Err(LinkError::Timeout));
        }
        None
    }

    /// A POST, no longer in its place, was answered, broke, or took too long.
    fn on_outcome(
        &mut self,
        stage: Stage,
        post: &Post,
        result: Result<crate::trickle::Answer, LinkError>,
    ) -> Option<Stop> {
        let progress = match stage {
            _ if !post.is_taken() => Progress::Unsent,
            Stage::Ahead | Stage::Current => Progress::Open,
            Stage::Ended => Progress::Ended,
        };
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
            Err(error) if error.fault() != Fault::Retry => return Some(Stop::Fatal(error)),
            Err(error) => {
                log::debug!("{channel}: segment {seq} broke ({progress:?}): {error}");
                self.cause = Some(error);
                self.publication.on_broken(seq, progress, jitter())
            }
        };
        if complete {
            let micros = u64::try_from(post.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            counters.segments.fetch_add(1, Ordering::Relaxed);
            counters.last_upload_micros.store(micros, Ordering::Relaxed);
        } else if stage != Stage::Ahead {
            log::warn!("{channel}: segment {seq} is lost");
            counters.lost.fetch_add(1, Ordering::Relaxed);
        }
        if stage == Stage::Current {
            self.hand = Hand::Empty;
            self.pieces.resync();
        }
        self.obey(decision)
    }

    fn obey(&mut self, decision: Decision) -> Option<Stop> {
        match decision {
            // The reset itself is part of the upcoming POST.
            Decision::Proceed | Decision::Reset => {}
            Decision::Close(seq) => self.closing = Some(self.close_segment(seq)),
            Decision::RetryAfter(pause) => self.retry_at = Some(Instant::now() + pause),
            Decision::End(why) => return Some(Stop::Over(why)),
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
    pub(super) async fn finish(mut self, stop: &Stop) -> Option<LinkError> {
        self.ahead = None;
        self.closing = None;
        let half = self.publisher.times.stop / 2;
        match stop {
            Stop::Finished => {
                self.end_current();
                let _ = tokio::time::timeout(half, self.last_answers()).await;
            }
            Stop::Over(Why::Closed | Why::Missing) | Stop::Fatal(_) => return self.cause,
            Stop::Over(Why::Lost | Why::TooSlow | Why::Refused(_) | Why::Unreachable) => {}
        }
        self.current = None;
        self.ended.clear();
        let route = &self.publisher.route;
        let request = route.request(Method::DELETE, route.channel.expose().path(), Body::None);
        let deleted = tokio::time::timeout(half, route.exchange(self.spare.take(), request)).await;
        log::debug!("{}: deleted: {}", route.channel, matches!(deleted, Ok(Ok(_))));
        self.publisher.counters.in_flight.store(0, Ordering::Relaxed);
        self.cause
    }

    async fn last_answers(&mut self) {
        while !self.ended.is_empty() {
            let Self { ahead, current, ended, .. } = self;
            let event = poll_fn(|cx| poll_posts(ahead, current, ended, cx)).await;
            // What it decides does not matter any more; what it counts does.
            let _ = self.on(event);
        }
    }
}

fn poll_posts(
    ahead: &mut Option<Post>,
    current: &mut Option<Post>,
    ended: &mut Vec<Post>,
    cx: &mut Context<'_>,
) -> Poll<Event> {
    for (stage, place) in [(Stage::Ahead, ahead), (Stage::Current, current)] {
        if let Some(mut post) = place.take() {
            match post.poll_outcome(cx) {
                Poll::Ready(outcome) => return Poll::Ready(Event::Answered(stage, post, outcome)),
                Poll::Pending => *place = Some(post),
            }
        }
    }
    for index in 0..ended.len() {
        if let Some(Poll::Ready(outcome)) = ended.get_mut(index).map(|post| post.poll_outcome(cx)) {
            return Poll::Ready(Event::Answered(Stage::Ended, ended.remove(index), outcome));
        }
    }
    Poll::Pending
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
