//! The answers of the trickle server, with the same headers as those of the real server.
//!
//! Does not: choose an answer.

use crate::http1::Answer;

/// The answer to a request that was carried out.
pub(super) fn done() -> Answer {
    Answer::new(200).body("")
}

/// The answer to a GET whose channel is unknown.
pub(super) fn no_channel() -> Answer {
    Answer::error(404, "Stream not found")
}

/// The answer to a POST whose channel is unknown. Send this answer before the body is read.
pub(super) fn no_channel_to_publish() -> Answer {
    Answer::new(404).close().refusal("Stream not found")
}

/// The answer to a DELETE whose channel is unknown.
pub(super) fn nothing_to_delete() -> Answer {
    Answer::error(400, "Invalid stream")
}

/// The answer to a DELETE whose segment is unknown.
pub(super) fn no_segment_to_delete() -> Answer {
    Answer::error(400, "Nonexistent segment")
}

/// The answer if the last part of the path is not a number.
pub(super) fn no_index() -> Answer {
    Answer::error(400, "Invalid idx")
}

/// The answer if there are too many channels, or too many bytes in a segment. The real server has no such limits.
pub(super) fn too_much() -> Answer {
    Answer::new(413)
        .close()
        .refusal("the sandbox has a limit on channels and on the size of a segment")
}

/// The answer if the connection ended within the body.
pub(super) fn broken_body() -> Answer {
    Answer::error(500, "Server error").close()
}

/// The answer with the seq to write next.
pub(super) fn next(next: u64) -> Answer {
    Answer::new(200)
        .with("Lp-Trickle-Latest", next)
        .body(next.to_string())
        .with("Content-Type", "text/plain; charset=utf-8")
}

/// The answer if the segment is too old or too far ahead.
pub(super) fn no_segment(asked: &str, latest: u64) -> Answer {
    Answer::new(470)
        .with("Lp-Trickle-Latest", latest)
        .with("Lp-Trickle-Seq", asked)
        .body("Entry not found")
        .with("Content-Type", "text/plain; charset=utf-8")
}

/// The head of a segment; send the body in chunks unless the request was HEAD (`chunked` is false). `latest` is the
/// leading edge at the time of the request.
pub(super) fn segment(content_type: &str, seq: u64, latest: u64, chunked: bool) -> Answer {
    let mut answer = Answer::new(200).with("Content-Type", content_type);
    if latest != seq {
        answer = answer.with("Lp-Trickle-Latest", latest);
    }
    answer = answer.with("Lp-Trickle-Seq", seq);
    if chunked { answer.with("Transfer-Encoding", "chunked") } else { answer }
}

/// The answer to a GET of a segment that was closed without a byte.
pub(super) fn empty_segment(seq: u64, latest: u64, closed: bool) -> Answer {
    let mut answer = Answer::new(200);
    if closed {
        answer = answer.with("Lp-Trickle-Closed", "terminated");
    }
    answer.with("Lp-Trickle-Latest", latest).with("Lp-Trickle-Seq", seq).body("")
}

/// The answer to a POST of a complete segment.
pub(super) fn published(seq: u64) -> Answer {
    Answer::new(200).with("Lp-Trickle-Seq", seq).body("")
}

/// The answer to a POST if the segment was closed before the publisher sent a byte.
pub(super) fn not_wanted(seq: u64, closed: bool) -> Answer {
    let mut answer = Answer::new(200).close();
    if closed {
        answer = answer.with("Lp-Trickle-Closed", "terminated");
    }
    answer.with("Lp-Trickle-Seq", seq).body("")
}
