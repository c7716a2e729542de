//! Asks what may never answer, a driver or a sound server, on a thread of its own and for a bounded time.
//!
//! A thread whose driver hangs cannot be ended. So that there never is more than one for the same thing, it
//! is not asked again before it has answered. Who asks while another is still within its time waits for that one.
//!
//! Does not: tell what is wrong; nobody knows.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// What has not answered yet, and until when it may.
static ASKED: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
static ANSWERED: Condvar = Condvar::new();

/// The answer of `what`; `None` if it does not come within `limit`, or an earlier one is overdue.
pub(super) fn within<T: Send + 'static>(
    what: &str,
    limit: Duration,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let asked = Asked::begin(what, limit)?;
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
    /// Waits for an earlier one of this name until its time is up.
    fn begin(what: &str, limit: Duration) -> Option<Self> {
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(due) = asked.get(what) {
            let left = due.checked_duration_since(Instant::now())?;
            asked = ANSWERED.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        asked.insert(what.to_owned(), Instant::now() + limit);
        Some(Self(what.to_owned()))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        ASKED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        ANSWERED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

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
    fn who_is_within_its_time_is_waited_for() {
        const ASK: usize = 8;
        let all_are_there = Barrier::new(ASK);
        let ask = || {
            all_are_there.wait();
            within("busy", Duration::from_secs(60), thread::yield_now)
        };
        thread::scope(|scope| {
            let asking: Vec<_> = (0..ASK).map(|_| scope.spawn(ask)).collect();
            for one in asking {
                assert_eq!(one.join().unwrap(), Some(()));
            }
        });
    }

    #[test]
    fn who_panics_has_no_answer() {
        let panics = || -> u8 { std::panic::resume_unwind(Box::new(())) };
        assert_eq!(within("panics", Duration::from_secs(60), panics), None);
        assert_eq!(within("panics", Duration::from_secs(60), || 4), Some(4));
    }
}
