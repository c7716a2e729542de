//! The jobs and sessions that must still be ended at their peers.
//!
//! A running job is on the list from its start. When the program stops running the job, the job's end is due, and is
//! requested until the peer confirms it: a runner cannot take its next job before the last one has ended (protocol.md,
//! section 5). The list is stored in the state directory, so that it survives a power cut; at the next start every end
//! on the list is due.
//!
//! ```text
//!  owe ──▶ running ──release──▶ due ──request, no answer──▶ due, after a pause
//!             │                  │
//!             └──── confirm ─────┴──▶ removed     (also after the time in which the peer ends the job by itself)
//! ```
//!
//! Does not: send requests; `io` does.

pub mod io;

use std::time::{Duration, Instant};

use crate::http::{Authority, Url};
use crate::trickle::is_gone;
use resilience::backoff::Backoff;

/// The maximum number of ends on the list. A device runs one job at a time, and few jobs are lost before their end is
/// confirmed.
const ENDS: usize = 32;
/// The pauses between two requests. The first is short, so that an end is requested as soon as a link returns.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// After this time the peer has ended the job by itself: a trickle server removes idle channels after 5 min (protocol.md,
/// section 1), and a runner ends an unpaid session.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// How a job or a session is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwedEnd {
    /// By a DELETE of the publish channel, which closes all channels of a live video job.
    Channel(Url),
    /// By a POST to this stop URL of a runner's session.
    Session(Url),
}

impl OwedEnd {
    /// The URL of the request. It is a credential: do not log its path.
    pub(crate) fn url(&self) -> &Url {
        match self {
            Self::Channel(url) | Self::Session(url) => url,
        }
    }

    /// The line of the state file.
    fn line(&self) -> String {
        match self {
            Self::Channel(url) => format!("channel {}\n", url.kept()),
            Self::Session(url) => format!("session {}\n", url.kept()),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (kind, url) = line.split_once(' ')?;
        let url = Url::parse_kept(url)?;
        match kind {
            "channel" => Some(Self::Channel(url)),
            "session" => Some(Self::Session(url)),
            _ => None,
        }
    }
}

/// Whether an HTTP status confirms that a session is stopped, by this request or before it.
pub(crate) const fn is_confirmed(status: u16) -> bool {
    matches!(status, 200..=299 | 404 | 410)
}

impl OwedEnd {
    /// Whether an answer with `status` confirms this end.
    pub const fn is_confirmed_by(&self, status: u16) -> bool {
        match self {
            Self::Channel(_) => is_gone(status),
            Self::Session(_) => is_confirmed(status),
        }
    }
}

#[derive(Debug, Clone)]
enum EndState {
    /// The program runs the job.
    Running,
    /// The end is requested at `next`.
    Due { since: Instant, next: Instant, pauses: Backoff },
}

/// The list of ends that are not confirmed.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwedEnds(Vec<(OwedEnd, EndState)>);

impl OwedEnds {
    /// Parses the list that an earlier run of the program stored; every end on it is due. Also returns the number of
    /// lines that could not be read.
    pub(crate) fn parse(text: &str, now: Instant) -> (Self, usize) {
        let (mut owed_ends, mut torn) = (Self::default(), 0);
        for line in text.lines() {
            match OwedEnd::parse(line) {
                Some(end) => drop(owed_ends.add(end, due(now))),
                None => torn += 1,
            }
        }
        (owed_ends, torn)
    }

    /// The list as the text of its file.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(end, _)| end.line()).collect()
    }

    /// Adds the end of a job that runs now. If the list is full, the oldest end is removed and returned.
    #[must_use]
    pub(crate) fn owe(&mut self, end: OwedEnd) -> Option<OwedEnd> {
        self.0.retain(|(known, _)| *known != end);
        self.add(end, EndState::Running)
    }

    /// Removes an end that the peer confirmed. Returns whether it was on the list.
    pub(crate) fn confirm(&mut self, end: &OwedEnd) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| known != end);
        self.0.len() < before
    }

    /// Makes the end of a running job due at `from`.
    pub(crate) fn release(&mut self, end: &OwedEnd, from: Instant) {
        if let Some((_, state @ EndState::Running)) =
            self.0.iter_mut().find(|(known, _)| known == end)
        {
            *state = due(from);
        }
    }

    /// Makes the due ends at these peers due now, without the pause. Returns whether there are any.
    pub(crate) fn hurry(&mut self, peers: &[Authority], now: Instant) -> bool {
        let mut found = false;
        for (end, state) in &mut self.0 {
            if let EndState::Due { next, .. } = state
                && peers.contains(end.url().authority())
            {
                *next = (*next).min(now);
                found = true;
            }
        }
        found
    }

    /// The end to request now, if one is due. It is due again after a pause, which `jitter` from 0 to 1 spreads. Ends
    /// older than [`FORGOTTEN`] are removed.
    pub(crate) fn next(&mut self, now: Instant, jitter: f64) -> Option<OwedEnd> {
        self.0.retain(|(_, state)| match state {
            EndState::Running => true,
            EndState::Due { since, .. } => now.saturating_duration_since(*since) < FORGOTTEN,
        });
        let is_due = |state: &EndState| matches!(state, EndState::Due { next, .. } if *next <= now);
        let (end, state) = self.0.iter_mut().find(|(_, state)| is_due(state))?;
        if let EndState::Due { next, pauses, .. } = state {
            *next = now + pauses.on_failure(jitter);
        }
        Some(end.clone())
    }

    /// When the next end is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let next = |(_, state): &(OwedEnd, EndState)| match state {
            EndState::Running => None,
            EndState::Due { next, .. } => Some(*next),
        };
        self.0.iter().filter_map(next).min()
    }

    fn add(&mut self, end: OwedEnd, state: EndState) -> Option<OwedEnd> {
        let dropped = (self.0.len() == ENDS).then(|| self.0.remove(0).0);
        self.0.push((end, state));
        dropped
    }
}

fn due(from: Instant) -> EndState {
    EndState::Due { since: from, next: from, pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Zone;

    fn channel(name: &str) -> OwedEnd {
        OwedEnd::Channel(Url::parse(&format!("https://o:8935/ai/trickle/{name}")).unwrap())
    }

    fn session(name: &str) -> OwedEnd {
        OwedEnd::Session(Url::parse(&format!("https://r:8935/apps/a/session/{name}/stop")).unwrap())
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_unknown_channel_counts_as_ended() {
        let session = OwedEnd::Session(channel("a").url().clone());
        for (status, of_channel, of_session) in [
            (200, true, true),
            (204, true, true),
            (404, true, true),
            (410, true, true),
            (400, true, false),
            (403, false, false),
            (500, false, false),
        ] {
            assert_eq!(channel("a").is_confirmed_by(status), of_channel, "{status}");
            assert_eq!(session.is_confirmed_by(status), of_session, "{status}");
        }
    }

    #[test]
    fn an_end_is_requested_after_its_job_until_it_is_confirmed() {
        let now = Instant::now();
        let mut owed_ends = OwedEnds::default();
        assert_eq!(owed_ends.owe(channel("a")), None);
        assert_eq!((owed_ends.next(now, 1.0), owed_ends.poll_timeout()), (None, None));
        owed_ends.release(&channel("a"), now + s(1));
        assert_eq!(owed_ends.poll_timeout(), Some(now + s(1)));
        assert_eq!(owed_ends.next(now, 1.0), None);
        assert_eq!(owed_ends.next(now + s(1), 1.0), Some(channel("a")));
        assert_eq!(owed_ends.next(now + s(1), 1.0), None, "after a pause");
        assert_eq!(owed_ends.poll_timeout(), Some(now + s(1) + FIRST_PAUSE));
        assert!(owed_ends.confirm(&channel("a")) && !owed_ends.confirm(&channel("a")));
        assert_eq!(owed_ends.poll_timeout(), None);
    }

    #[test]
    fn a_confirmed_end_is_never_due() {
        let now = Instant::now();
        let mut owed_ends = OwedEnds::default();
        let _ = owed_ends.owe(channel("a"));
        assert!(owed_ends.confirm(&channel("a")));
        owed_ends.release(&channel("a"), now);
        assert_eq!(owed_ends.next(now, 1.0), None);
    }

    #[test]
    fn requests_go_on_at_growing_pauses_until_the_peer_has_ended_the_job() {
        let start = Instant::now();
        let mut owed_ends = OwedEnds::default();
        let _ = owed_ends.owe(session("a"));
        owed_ends.release(&session("a"), start);
        let (mut now, mut tries) = (start, 0);
        while let Some(next) = owed_ends.poll_timeout() {
            assert!(next - now <= LONGEST_PAUSE);
            now = next;
            tries += u32::from(owed_ends.next(now, 1.0).is_some());
        }
        assert!(now - start >= FORGOTTEN && tries < 60, "{tries} tries");
    }

    #[test]
    fn a_start_at_the_same_peer_does_not_wait_for_the_pause() {
        let now = Instant::now();
        let mut owed_ends = OwedEnds::default();
        for end in [channel("a"), session("b")] {
            let _ = owed_ends.owe(end.clone());
            owed_ends.release(&end, now + s(60));
        }
        let peer = channel("a").url().authority().clone();
        assert!(!owed_ends.hurry(&[], now) && owed_ends.hurry(&[peer], now));
        assert_eq!(owed_ends.next(now, 1.0), Some(channel("a")));
        assert_eq!(owed_ends.next(now, 1.0), None);
    }

    #[test]
    fn ends_left_by_one_run_are_due_in_the_next() {
        let now = Instant::now();
        let mut owed_ends = OwedEnds::default();
        let _ = owed_ends.owe(channel("a"));
        let _ = owed_ends.owe(session("b"));
        let text = owed_ends.text();
        assert_eq!(
            text,
            "channel https://o:8935/ai/trickle/a this-machine\nsession https://r:8935/apps/a/session/b/stop this-machine\n"
        );
        let (mut next, torn) = OwedEnds::parse(&text, now);
        assert_eq!((next.next(now, 1.0), torn), (Some(channel("a")), 0));
        assert_eq!(next.next(now, 1.0), Some(session("b")));
    }

    #[test]
    fn the_zone_that_an_end_may_reach_survives_a_restart() {
        let mut owed_ends = OwedEnds::default();
        let given = channel("a").url().clone().with_reach(Zone::Public);
        let _ = owed_ends.owe(OwedEnd::Channel(given));
        let now = Instant::now();
        let (mut next, _) = OwedEnds::parse(&owed_ends.text(), now);
        assert_eq!(next.next(now, 1.0).unwrap().url().reach(), Zone::Public);
    }

    #[test]
    fn a_damaged_file_loses_only_its_damaged_lines() {
        let text =
            "channel https://o:8935/a\nchannel\nplane https://o/b\nsession not a url\n\u{0}\n";
        let (mut owed_ends, torn) = OwedEnds::parse(text, Instant::now());
        assert_eq!(torn, 4);
        assert!(owed_ends.next(Instant::now(), 0.0).is_some());
    }

    #[test]
    fn the_list_is_bounded_and_the_oldest_end_makes_room() {
        let mut owed_ends = OwedEnds::default();
        for n in 0..ENDS {
            assert_eq!(owed_ends.owe(channel(&n.to_string())), None);
        }
        assert_eq!(owed_ends.owe(channel("0")), None, "it is on the list already");
        assert_eq!(owed_ends.owe(channel("new")), Some(channel("1")));
        assert_eq!(owed_ends.text().lines().count(), ENDS);
    }
}
