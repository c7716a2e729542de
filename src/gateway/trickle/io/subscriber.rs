//! Reads the segments of one channel in order. The next segment is requested while the current one is read.
//!
//! Two connections take turns. A GET that waits too long is sent again, because a broken connection may give no error.
//! A segment is abandoned if no byte of it arrives for a while after the next one has begun, because its writer has
//! stopped.
//!
//! Does not: store what it reads; the sink does.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::http::io::Connector;
use crate::limits::SEGMENT_BODY;
use crate::segment::Seq;
use crate::trickle::io::link::{ChannelConnection, ChannelRoute};
use crate::trickle::io::post::RequestBody;
use crate::trickle::{
    Channel, ChannelEnd, LinkError, SegmentRequest, Subscription, SubscriptionStep, TrickleAnswer,
    TrickleError,
};
use resilience::backoff::jitter;
use resilience::fault::Fault;
use resilience::stop::Stop;
use resilience::wait::AbortOnDrop;

/// The minimum time between two GETs. Segments and events come less often; without this limit a peer that answers each
/// GET with a few bytes would keep the CPU busy.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Receives the segments of a subscription. Its methods are called on the runtime's thread and must not block.
pub trait SegmentSink: Send {
    /// Called before the first bytes of a segment; not called for an empty segment.
    fn begin(&mut self, seq: Seq, content_type: &str);

    /// Called for the next bytes of the segment.
    fn bytes(&mut self, bytes: &Bytes);

    /// Called once for each `begin`. `complete` is `false` if the segment broke off, stalled, took too long or is too
    /// large, or the subscription was stopped; the rest of the segment is not requested again.
    fn end(&mut self, complete: bool);
}

/// The limits of a subscriber.
#[derive(Debug, Clone, Copy)]
pub struct SubscribeTimes {
    /// A GET without an answer is sent again after this time (as in Livepeer's Python gateway).
    pub renew: Duration,
    /// The longest time to read one segment (as in Livepeer's Python gateway).
    pub segment: Duration,
    /// A segment is abandoned after this long without a byte, if the next one has begun.
    pub stall: Duration,
    /// The largest segment, in bytes.
    pub body: u64,
}

impl Default for SubscribeTimes {
    fn default() -> Self {
        Self {
            renew: Duration::from_secs(20),
            segment: Duration::from_secs(60),
            stall: Duration::from_secs(5),
            body: SEGMENT_BODY,
        }
    }
}

/// Subscribes to one channel.
#[derive(Debug)]
pub struct Subscriber {
    route: Arc<ChannelRoute>,
    times: SubscribeTimes,
}

/// A GET in progress; it yields the response, whose body is still to be read, and the connection.
type PendingGet = AbortOnDrop<GetAnswer>;
type GetAnswer = Result<(ChannelConnection, Response<Incoming>), LinkError>;

impl Subscriber {
    /// A subscriber to `channel`.
    pub fn new(connector: Arc<Connector>, channel: Channel) -> Self {
        let route = Arc::new(ChannelRoute::new(connector, channel, None));
        Self { route, times: SubscribeTimes::default() }
    }

    /// Uses other limits.
    #[must_use]
    pub fn with_times(self, times: SubscribeTimes) -> Self {
        Self { times, ..self }
    }

    /// Reads segments into `sink` until `stop` is signalled, the channel ends, or the peer fails.
    pub async fn run(
        self,
        mut sink: impl SegmentSink,
        mut stop: Stop,
    ) -> Result<ChannelEnd, TrickleError> {
        let mut download = Download {
            route: self.route,
            times: self.times,
            subscription: Subscription::new(),
            ahead: NextGet::Nothing,
            next_ask: Instant::now(),
            spare: None,
        };
        tokio::select! {
            biased;
            () = stop.wait() => Ok(ChannelEnd::Finished),
            end = download.run(&mut sink) => end,
        }
    }
}

/// The state of the GET of the next segment.
enum NextGet {
    Nothing,
    PendingGet(PendingGet),
    Answered(GetAnswer),
}

impl NextGet {
    /// Waits for the answer and stores it. Cancel safe.
    async fn arrive(&mut self) {
        match self {
            Self::Nothing => pending().await,
            Self::PendingGet(asked) => {
                let answered = poll_fn(|cx| Pin::new(&mut *asked).poll(cx)).await;
                *self = Self::Answered(answered.unwrap_or(Err(LinkError::Timeout)));
            }
            Self::Answered(_) => {}
        }
    }
}

/// The state of a subscription with its connections.
struct Download {
    route: Arc<ChannelRoute>,
    times: SubscribeTimes,
    subscription: Subscription,
    ahead: NextGet,
    /// No GET is sent before this time.
    next_ask: Instant,
    spare: Option<ChannelConnection>,
}

impl Download {
    async fn run(&mut self, sink: &mut impl SegmentSink) -> Result<ChannelEnd, TrickleError> {
        let mut cause = None;
        loop {
            if matches!(self.ahead, NextGet::Nothing) {
                self.ask();
            }
            self.ahead.arrive().await;
            let asked = self.subscription.ask();
            let step = match std::mem::replace(&mut self.ahead, NextGet::Nothing) {
                NextGet::Answered(Ok((link, response))) => {
                    self.on_answer(link, response, sink).await
                }
                NextGet::Answered(Err(error)) => Err(error),
                NextGet::Nothing | NextGet::PendingGet(_) => continue,
            };
            let channel = &self.route.channel;
            let step = step.unwrap_or_else(|error| {
                log::debug!("{channel}: {asked:?}: {error}");
                cause = Some(error);
                self.subscription.on_broken(jitter())
            });
            if let Some(error) = cause.take_if(|error| error.fault() != Fault::Retry) {
                return Err(TrickleError::Unusable(channel.clone(), error));
            }
            match step {
                SubscriptionStep::RetryAfter(pause) => tokio::time::sleep(pause).await,
                SubscriptionStep::End(why) => {
                    return TrickleError::judge(why, channel.clone(), cause);
                }
                SubscriptionStep::Read(_) | SubscriptionStep::Next | SubscriptionStep::Jump(_) => {}
            }
        }
    }

    /// Reads the segment in `response`, if the response has one. An error says why reading broke off.
    async fn on_answer(
        &mut self,
        link: ChannelConnection,
        response: Response<Incoming>,
        sink: &mut impl SegmentSink,
    ) -> Result<SubscriptionStep, LinkError> {
        let answer = TrickleAnswer::new(response.status().as_u16(), response.headers());
        log::debug!(
            "{}: {:?} answered {}",
            self.route.channel,
            self.subscription.ask(),
            answer.status
        );
        let step = self.subscription.on_answer(&answer, jitter());
        let SubscriptionStep::Read(seq) = step else {
            self.spare = link.finish(response.into_body()).await.1.or(self.spare.take());
            return Ok(step);
        };
        let copied = self.copy(seq, response, sink).await?;
        self.spare = link.reuse().await.or(self.spare.take());
        Ok(self.subscription.on_complete(copied))
    }

    /// Requests the next segment in a task, so that the request proceeds while another segment is read.
    fn ask(&mut self) {
        let route = Arc::clone(&self.route);
        let renew = self.times.renew;
        let ask = self.subscription.ask();
        let mut spare = self.spare.take();
        let due = self.next_ask.max(Instant::now());
        self.next_ask = due + ASK_EVERY;
        self.ahead = NextGet::PendingGet(AbortOnDrop::spawn(async move {
            let path = match ask {
                SegmentRequest::Live => route.channel.live_path(),
                SegmentRequest::Segment(seq) => route.channel.segment_path(seq),
            };
            tokio::time::sleep_until(due.into()).await;
            loop {
                let request = route.request(Method::GET, &path, RequestBody::None);
                let answer = route.exchange(spare.take(), request);
                if let Ok(answered) = tokio::time::timeout(renew, answer).await {
                    return answered;
                }
                log::debug!("{}: no answer to {ask:?}; sending the request again", route.channel);
            }
        }));
    }

    /// Copies the body of `seq` to the sink, and requests the next segment at its first bytes. Returns the number of
    /// bytes.
    async fn copy(
        &mut self,
        seq: Seq,
        response: Response<Incoming>,
        sink: &mut impl SegmentSink,
    ) -> Result<u64, LinkError> {
        let (head, mut body) = response.into_parts();
        let mut segment = SinkSegment { sink, begun: false, complete: false };
        let over = Instant::now() + self.times.segment;
        let mut copied = 0_u64;
        loop {
            let silence = Instant::now() + self.times.stall;
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                () = tokio::time::sleep_until(over.into()) => return Err(LinkError::Timeout),
                () = passed_by(&mut self.ahead, silence) => return Err(LinkError::Timeout),
            };
            let data = match frame {
                None => break,
                Some(frame) => frame.map_err(LinkError::Broken)?.into_data().unwrap_or_default(),
            };
            if data.is_empty() {
                continue;
            }
            copied = copied.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if copied > self.times.body {
                return Err(LinkError::TooLarge(self.times.body));
            }
            if !segment.begun {
                let content_type = head.headers.get(header::CONTENT_TYPE);
                segment.sink.begin(seq, content_type.and_then(|t| t.to_str().ok()).unwrap_or(""));
                segment.begun = true;
                self.ask();
            }
            segment.sink.bytes(&data);
        }
        segment.complete = true;
        Ok(copied)
    }
}

/// Returns when the next segment has begun and `silence` has passed, so that the writer of the current segment must
/// have stopped.
async fn passed_by(ahead: &mut NextGet, silence: Instant) {
    ahead.arrive().await;
    if !matches!(ahead, NextGet::Answered(Ok(_))) {
        pending::<()>().await;
    }
    tokio::time::sleep_until(silence.into()).await;
}

/// A segment that was begun in the sink. Dropping this ends the segment in the sink, also when the subscription is
/// stopped.
struct SinkSegment<'a, S: SegmentSink> {
    sink: &'a mut S,
    begun: bool,
    complete: bool,
}

impl<S: SegmentSink> Drop for SinkSegment<'_, S> {
    fn drop(&mut self) {
        if self.begun {
            self.sink.end(self.complete);
        }
    }
}
