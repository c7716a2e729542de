//! Makes a call that may hang, to a driver or a sound server, on a thread of its own and with a time limit.
//!
//! A thread whose driver hangs cannot be ended. To keep such threads to one for each driver or server, it is not called
//! again before the earlier call has returned. A caller waits while an earlier call is within its time limit.
//!
//! Does not: report why a call hangs; that cannot be found out.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The names of the calls that have not returned yet, with the end of each one's time limit.
static ASKED: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
static ANSWERED: Condvar = Condvar::new();

/// Makes the call on a thread of its own. `None` if it does not return within `limit`, or if an earlier call with the
/// same name, `what`, is overdue.
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
    /// Waits for an earlier call with this name until its time limit.
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
