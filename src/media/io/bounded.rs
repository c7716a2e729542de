//! Asks what may never answer, a driver or a sound server, on a thread of its own and for a bounded time.
//!
//! A thread whose driver hangs cannot be ended. So that there never is more than one for the same thing, it
//! is not asked again before it has answered.
//!
//! Does not: tell what is wrong; nobody knows.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// What has not answered yet.
static ASKED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The answer of `what`; `None` if it does not come within `limit`, or an earlier one is still awaited.
pub(super) fn within<T: Send + 'static>(
    what: &str,
    limit: Duration,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let asked = Asked::begin(what)?;
    let (tell, told) = mpsc::sync_channel(1);
    let work = move || {
        let answer = ask();
        drop(asked);
        let _ = tell.send(answer);
    };
    thread::Builder::new().name("media-ask".into()).spawn(work).ok()?;
    told.recv_timeout(limit).ok()
}

/// A name in [`ASKED`], for as long as it lives.
struct Asked(String);

impl Asked {
    fn begin(what: &str) -> Option<Self> {
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(what.to_owned()).then(|| Self(what.to_owned()))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        ASKED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn who_does_not_answer_is_not_asked_twice() {
        let (answer, awaited) = mpsc::channel();
        let began = Instant::now();
        let hang = move || awaited.recv();
        assert!(within("hangs", Duration::from_millis(50), hang).is_none());
        assert_eq!(within("hangs", Duration::from_secs(60), || 1), None, "at once");
        assert_eq!(within("another", Duration::from_secs(60), || 2), Some(2));
        assert!(began.elapsed() < Duration::from_secs(30));

        answer.send(()).unwrap();
        while within("hangs", Duration::from_secs(60), || 3).is_none() {
            thread::yield_now();
        }
    }

    #[test]
    fn who_panics_has_no_answer() {
        let panics = || -> u8 { std::panic::resume_unwind(Box::new(())) };
        assert_eq!(within("panics", Duration::from_secs(60), panics), None);
        assert_eq!(within("panics", Duration::from_secs(60), || 4), Some(4));
    }
}
