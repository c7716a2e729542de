//! Parses answers of a trickle server, and gives any sequence of them to a publication and a subscription.
//!
//! The input is lines. Each is an answer: a status, then headers as `s7` (seq), `l9` (latest), `c` (closed), or raw
//! values.
//!
//! Does not: open sockets.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use livepeer_gateway::trickle::{
    PostAttempt, Publication, SegmentRequest, Subscription, SubscriptionStep, TrickleAnswer,
    UploadProgress, first_seq,
};

fuzz_target!(|bytes: &[u8]| {
    let mut subscription = Subscription::new();
    let mut publication = None;
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let answer = answer(line);
        if publication.is_none() {
            publication = first_seq(&answer, line).map(Publication::resolved);
        }
        let before = subscription.ask();
        match subscription.on_answer(&answer, 0.5) {
            SubscriptionStep::Read(seq) => {
                let SegmentRequest::Segment(after) = subscription.ask() else {
                    panic!("a seq was read")
                };
                assert!(after >= seq, "the next seq to read is lower than the present one");
                let _ = subscription.on_complete(line.len() as u64);
            }
            SubscriptionStep::End(_) => return,
            SubscriptionStep::Next
            | SubscriptionStep::Jump(_)
            | SubscriptionStep::RetryAfter(_) => {}
        }
        if let (SegmentRequest::Segment(before), SegmentRequest::Segment(after)) =
            (before, subscription.ask())
        {
            assert!(after >= before, "it never goes back");
        }
        let Some(publication) = &mut publication else { continue };
        let upcoming = publication.upcoming().0;
        if let Ok(seq) = publication.take_seq() {
            assert_eq!(seq, upcoming);
            let attempt = PostAttempt { seq, progress: UploadProgress::Ended, is_repeated: false };
            let _ = publication.on_answer(attempt, &answer, 0.5);
            assert!(publication.upcoming().0 >= seq);
        }
    }
});

fn answer(line: &[u8]) -> TrickleAnswer {
    let mut words = line.split(|byte| *byte == b' ');
    let status = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let mut headers = HeaderMap::new();
    for word in words {
        let Some((kind, value)) = word.split_first() else { continue };
        let name = match kind {
            b's' => "lp-trickle-seq",
            b'l' => "lp-trickle-latest",
            _ => "lp-trickle-closed",
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    TrickleAnswer::new(status.unwrap_or(200), &headers)
}
