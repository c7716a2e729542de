//! The answers of the trickle server, with the same headers as those of the real server.
//!
//! Does not: choose an answer.

use crate::http1::Answer;

/// The request was carried out.
pub(super) fn done() -> Answer {
    Answer::new(200).body("")
}

/// The channel of a GET is unknown.
pub(super) fn no_channel() -> Answer {
    Answer::error(404, "Stream not found")
}

/// The channel of a POST is unknown; send it before the body is read.
pub(super) fn no_channel_to_publish() -> Answer {
    Answer::new(404).close().refusal("Stream not found")
}

/// The channel of a DELETE is unknown.
pub(super) fn nothing_to_delete() -> Answer {
    Answer::error(400, "Invalid stream")
}

/// The segment of a DELETE is unknown.
pub(super) fn no_segment_to_delete() -> Answer {
    Answer::error(400, "Nonexistent segment")
}

/// The last part of the path is not a number.
pub(super) fn no_index() -> Answer {
    Answer::error(400, "Invalid idx")
}

/// There are too many channels, or too many bytes in a segment. The real server has no such limit.
pub(super) fn too_much() -> Answer {
    Answer::new(413)
        .close()
        .refusal("the sandbox has a limit on channels and on the size of a segment")
}

/// The connection ended within the body.
pub(super) fn broken_body() -> Answer {
    Answer::error(500, "Server error").close()
}

/// The seq to write next.
pub(super) fn next(next: u64) -> Answer {
    Answer::new(200)
        .with("Lp-Trickle-Latest", next)
        .body(next.to_string())
        .with("Content-Type", "text/plain; charset=utf-8")
}

/// The segment is too old or too far ahead.
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

/// The segment was closed without a byte.
pub(super) fn empty_segment(seq: u64, latest: u64, closed: bool) -> Answer {
    let mut answer = Answer::new(200);
    if closed {
        answer = answer.with("Lp-Trickle-Closed", "terminated");
    }
    answer.with("Lp-Trickle-Latest", latest).with("Lp-Trickle-Seq", seq).body("")
}

/// The segment was published.
pub(super) fn published(seq: u64) -> Answer {
    Answer::new(200).with("Lp-Trickle-Seq", seq).body("")
}

/// The segment was closed before its publisher sent a byte.
pub(super) fn not_wanted(seq: u64, closed: bool) -> Answer {
    let mut answer = Answer::new(200).close();
    if closed {
        answer = answer.with("Lp-Trickle-Closed", "terminated");
    }
    answer.with("Lp-Trickle-Seq", seq).body("")
}
