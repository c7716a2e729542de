//! Publishes pieces as numbered segments on one channel: requests the first seq, uploads the segments, then deletes the
//! channel.
//!
//! ```text
//! GET /next ──▶ upload (see `upload`) ──▶ last answers ──▶ DELETE {channel}
//! ```
//!
//! Does not: create the channel, or start again after an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use http::{HeaderValue, Method};

use crate::http::io::{ConnectionStats, Connector, Gauges};
use crate::segment::Pieces;
use crate::trickle::io::link::{ChannelConnection, ChannelRoute};
use crate::trickle::io::post::RequestBody;
use crate::trickle::io::upload::{Upload, UploadEnd};
use crate::trickle::{
    Channel, ChannelEnd, EndReason, LinkError, Publication, TRIES, TrickleAnswer, TrickleError,
    first_seq, retry_pause,
};
use resilience::backoff::jitter;
use resilience::fault::Fault;
use resilience::histogram::Histogram;
use resilience::meter::Meter;
use resilience::stop::Stop;

/// Leave an orchestrator after this long without a delivered segment, counted from the first loss. Together with the
/// time to notice the first loss and to end the job's parts, another orchestrator receives video within 10 s. A job
/// survives a network outage of 5 s.
const LEAVE_TIME: Duration = Duration::from_millis(4500);
/// While the maximum number of segments is in flight, an orchestrator that takes longer than this to answer is too
/// slow. After the capacity of a link has dropped, the bitrate needs a few seconds to follow.
const SLOW_TIME: Duration = Duration::from_secs(6);
/// The maximum wait of a segment's first piece for its POST.
const FIRST_PIECE_TIME: Duration = Duration::from_secs(1);
/// A chunk that the transport does not take within this time makes its segment lost (Python gateway).
const CHUNK_TIME: Duration = Duration::from_secs(5);

/// A publisher's counters, which may be read while it runs.
#[derive(Debug, Default)]
pub struct PublisherCounters {
    /// Segments that the peer answered as complete.
    pub segments: Meter,
    /// Bytes given to the transport.
    pub bytes: Meter,
    /// The time from the first piece of each complete segment to its answer.
    pub uploads: Histogram,
    /// How often [`PublisherCounters::is_failing`] became true.
    pub outages: AtomicU64,
    /// Segments lost.
    pub lost: AtomicU64,
    /// Segments that have begun and are not answered yet.
    pub in_flight: AtomicU64,
    /// Whether a connection broke while a segment waited, and no new connection has been made since.
    pub is_failing: AtomicBool,
    pub(super) gauges: Arc<Gauges>,
}

impl PublisherCounters {
    /// What the kernel reports about the connections; `None` until its first report.
    pub fn flow(&self) -> Option<ConnectionStats> {
        self.gauges.read()
    }
}

/// The time limits of a publisher.
#[derive(Debug, Clone, Copy)]
pub struct PublishTimes {
    /// A piece that the transport does not take within this time makes its segment lost.
    pub chunk: Duration,
    /// A segment without an answer this long after the end of its body is lost. A longer limit has no effect on
    /// segments of 2 s: three unanswered ones end the publication.
    pub answer: Duration,
    /// The longest wait for the oldest answer while the maximum number of segments is in flight. After that time the
    /// publication fails as too slow.
    pub slow: Duration,
    /// A segment's first piece that waits this long for its POST is dropped, and a newer segment begins.
    pub first_piece: Duration,
    /// The longest outage, and the longest time that a lost message is sent again.
    pub leave: Duration,
    /// The limit for the graceful end: the last answers and the DELETE of the channel.
    pub stop: Duration,
}

impl Default for PublishTimes {
    fn default() -> Self {
        Self {
            chunk: CHUNK_TIME,
            answer: Duration::from_secs(10),
            slow: SLOW_TIME,
            first_piece: FIRST_PIECE_TIME,
            leave: LEAVE_TIME,
            stop: Duration::from_millis(1200),
        }
    }
}

/// How a publication ended.
#[derive(Debug)]
pub struct Published {
    /// How the publication ended.
    pub end: Result<ChannelEnd, TrickleError>,
    /// Whether the peer confirmed that the channel does not exist any more. If `false`, the caller must have the channel
    /// deleted.
    pub is_deleted: bool,
}

/// Publishes on one channel.
#[derive(Debug)]
pub struct Publisher {
    pub(super) route: Arc<ChannelRoute>,
    pub(super) mime: HeaderValue,
    pub(super) counters: Arc<PublisherCounters>,
    pub(super) times: PublishTimes,
}

impl Publisher {
    /// A publisher of segments of MIME type `mime` (`video/mp2t`, `application/json`) on `channel`.
    pub fn new(
        connector: Arc<Connector>,
        channel: Channel,
        mime: HeaderValue,
        counters: Arc<PublisherCounters>,
    ) -> Self {
        let sends = Some(Arc::clone(&counters.gauges));
        let route = Arc::new(ChannelRoute::new(connector, channel, sends));
        Self { route, mime, counters, times: PublishTimes::default() }
    }

    /// Uses other time limits.
    #[must_use]
    pub fn with_times(self, times: PublishTimes) -> Self {
        Self { times, ..self }
    }

    /// Publishes until `pieces` ends, `stop` is signalled, the channel ends, or the peer fails. Then it ends the open
    /// segment and deletes the channel, within [`PublishTimes::stop`].
    pub async fn run(self, pieces: impl Pieces, stop: Stop) -> Result<ChannelEnd, TrickleError> {
        self.publish(pieces, stop).await.end
    }

    /// Like [`Publisher::run`]; the result also says whether the channel is deleted.
    pub async fn publish(self, pieces: impl Pieces, mut stop: Stop) -> Published {
        let channel = self.route.channel.clone();
        let (publication, spare) = match self.resolve(&mut stop).await {
            Ok(Some(resolved)) => resolved,
            Ok(None) => {
                return Published {
                    is_deleted: self.delete().await,
                    end: Ok(ChannelEnd::Finished),
                };
            }
            Err(unresolved) => {
                let is_deleted = match &unresolved {
                    FirstSeqError::ByPeer(EndReason::Closed | EndReason::Missing, _) => true,
                    FirstSeqError::ByPeer(..) | FirstSeqError::Fatal(_) => self.delete().await,
                };
                let end = match unresolved {
                    FirstSeqError::Fatal(error) => Err(TrickleError::Unusable(channel, error)),
                    FirstSeqError::ByPeer(why, cause) => TrickleError::judge(why, channel, cause),
                };
                return Published { end, is_deleted };
            }
        };
        log::debug!("{channel}: first segment is {}", publication.upcoming().0);
        let mut upload = Upload::new(self, pieces, publication, spare);
        let ending = upload.run(&mut stop).await;
        let (cause, is_deleted) = upload.finish(&ending).await;
        let end = match ending {
            UploadEnd::Finished => Ok(ChannelEnd::Finished),
            UploadEnd::Over(why) => TrickleError::judge(why, channel, cause),
            UploadEnd::Fatal(error) => Err(TrickleError::Unusable(channel, error)),
        };
        Published { end, is_deleted }
    }

    /// Deletes the channel without publishing, within half of [`PublishTimes::stop`]. Returns whether the peer
    /// confirmed that.
    pub async fn delete(&self) -> bool {
        self.route.delete_channel(None, self.times.stop / 2).await
    }

    /// Requests the first seq. `None` if `stop` is signalled first.
    async fn resolve(
        &self,
        stop: &mut Stop,
    ) -> Result<Option<(Publication, Option<ChannelConnection>)>, FirstSeqError> {
        for tried in 1.. {
            let asked = tokio::select! {
                biased;
                () = stop.wait() => return Ok(None),
                asked = tokio::time::timeout(self.times.answer, self.ask_next()) => asked,
            };
            let (why, cause) = match asked.unwrap_or(Err(LinkError::Timeout)) {
                Ok((answer, ..)) if answer.closed => {
                    return Err(FirstSeqError::ByPeer(EndReason::Closed, None));
                }
                Ok((answer, body, spare)) => match answer.status {
                    200 => {
                        let no_seq = FirstSeqError::ByPeer(EndReason::NoSeq, None);
                        let first = first_seq(&answer, &body).ok_or(no_seq)?;
                        return Ok(Some((Publication::resolved(first), spare)));
                    }
                    404 => return Err(FirstSeqError::ByPeer(EndReason::Missing, None)),
                    status => (EndReason::Refused(status), None),
                },
                Err(error) if error.fault() != Fault::Retry => {
                    return Err(FirstSeqError::Fatal(error));
                }
                Err(error) => (EndReason::Unreachable(TRIES), Some(error)),
            };
            if tried >= TRIES {
                return Err(FirstSeqError::ByPeer(why, cause));
            }
            log::debug!("{}: next segment not known after {tried} tries", self.route.channel);
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(None),
                () = tokio::time::sleep(retry_pause(jitter())) => {}
            }
        }
        Ok(None)
    }

    async fn ask_next(
        &self,
    ) -> Result<(TrickleAnswer, Vec<u8>, Option<ChannelConnection>), LinkError> {
        let path = self.route.channel.next_path();
        let request = self.route.request(Method::GET, &path, RequestBody::None);
        let (link, response) = self.route.exchange(None, request).await?;
        let (head, body) = response.into_parts();
        let (body, spare) = link.finish(body).await;
        Ok((TrickleAnswer::new(head.status.as_u16(), &head.headers), body, spare))
    }
}

/// Why the first seq is unknown.
enum FirstSeqError {
    Fatal(LinkError),
    ByPeer(EndReason, Option<LinkError>),
}
