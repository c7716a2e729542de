//! Makes a call that may hang, to a driver or a sound server, on a thread of its own and with a time limit.
//!
//! A thread whose driver hangs cannot be ended. So that each driver or server has at most one such thread, it is not
//! called again before the earlier call has returned. While the earlier call is within its time limit, a new caller
//! waits for it.
//!
//! Does not: report why a call hangs; that cannot be found out.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The names of the calls that have not returned yet, with the end of each one's time limit. This is a static, because
/// a call that hangs outlives the capture or listing that made it, and must also stop later ones from calling.
static PENDING: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
static RETURNED: Condvar = Condvar::new();

/// Makes the call on a thread of its own. `None` if it does not return within `limit`, or if an earlier call with the
/// same name, `what`, is overdue.
pub(super) fn within<T: Send + 'static>(
    what: &str,
    limit: Duration,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let asked = PendingCall::begin(what, limit)?;
    let (result, awaited_result) = mpsc::sync_channel(1);
    let work = move || {
        let answer = ask();
        drop(asked);
        let _ = result.send(answer);
    };
    thread::Builder::new().name("media-ask".into()).spawn(work).ok()?;
    awaited_result.recv_timeout(limit).ok()
}

/// A name in [`PENDING`], for as long as it lives.
struct PendingCall(String);

impl PendingCall {
    /// Waits for an earlier call with this name until its time limit.
    fn begin(what: &str, limit: Duration) -> Option<Self> {
        let mut asked = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(due) = asked.get(what) {
            let left = due.checked_duration_since(Instant::now())?;
            asked = RETURNED.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        asked.insert(what.to_owned(), Instant::now() + limit);
        Some(Self(what.to_owned()))
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        PENDING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        RETURNED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_hanging_call_is_not_repeated() {
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
    fn a_call_within_its_time_limit_is_waited_for() {
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
    fn a_call_that_panics_gives_none() {
        let panics = || -> u8 { std::panic::resume_unwind(Box::new(())) };
        assert_eq!(within("panics", Duration::from_secs(60), panics), None);
        assert_eq!(within("panics", Duration::from_secs(60), || 4), Some(4));
    }
}
