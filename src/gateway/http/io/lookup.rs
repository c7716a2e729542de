//! Resolves names, each on a thread of its own that ends with the answer.
//!
//! The system's resolver cannot be interrupted, and may block for minutes if no name server answers. So callers wait for a
//! limited time, a second request for a name joins the look-up in progress, and at most [`LOOKUPS`] run at once. A name
//! that hangs does not delay other names.
//!
//! Answers are not cached, because addresses change, and the system's resolver has its own cache.
//!
//! Does not: choose among addresses.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::http::Authority;
use crate::limits::{ADDRESSES, LOOKUPS};

/// The stack of a look-up's thread, in bytes; glibc's resolver needs less than 100 KiB.
const STACK: usize = 512 << 10;

/// A resolver: blocks, and returns the addresses of a host.
pub(super) type Resolve = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// The look-ups in progress.
#[derive(Clone)]
pub(super) struct Lookups {
    resolve: Resolve,
    pending: Arc<Mutex<HashMap<Authority, Arc<Lookup>>>>,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

/// A look-up in progress.
#[derive(Default)]
struct Lookup {
    /// `None` while it is in progress.
    answer: Mutex<Option<LookupAnswer>>,
    /// Wakes callers that block a thread.
    done: Condvar,
    /// Wakes callers on the runtime.
    answered: Notify,
}

/// The addresses, or the resolver's error.
type LookupAnswer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

impl Lookups {
    /// Look-ups by the system's resolver.
    pub(super) fn new() -> Self {
        Self::by(|host, port| Ok((host, port).to_socket_addrs()?.take(ADDRESSES).collect()))
    }

    pub(super) fn by(resolve: Resolve) -> Self {
        Self { resolve, pending: Arc::default() }
    }

    /// The addresses of `peer`. May take minutes: set a time limit. Cancel safe.
    pub(super) async fn addresses(&self, peer: &Authority) -> io::Result<Vec<SocketAddr>> {
        let lookup = match self.begin(peer) {
            LookupStart::Known(addresses) => return addresses,
            LookupStart::UnderWay(lookup) => lookup,
        };
        loop {
            let mut answered = pin!(lookup.answered.notified());
            // Register before checking, so that no notification is lost.
            answered.as_mut().enable();
            if let Some(answer) = lookup.answer().clone() {
                return given(answer);
            }
            answered.await;
        }
    }

    /// Like [`Self::addresses`], for a thread that may block; `None` if `time` passes first.
    pub(super) fn addresses_within(
        &self,
        peer: &Authority,
        time: Duration,
    ) -> Option<io::Result<Vec<SocketAddr>>> {
        let lookup = match self.begin(peer) {
            LookupStart::Known(addresses) => return Some(addresses),
            LookupStart::UnderWay(lookup) => lookup,
        };
        let (answer, _) = lookup
            .done
            .wait_timeout_while(lookup.answer(), time, |answer| answer.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        answer.clone().map(given)
    }

    /// Begins a look-up, or joins the look-up of this name that is in progress. An IP address needs no look-up.
    fn begin(&self, peer: &Authority) -> LookupStart {
        if let Ok(ip) = peer.host().parse::<IpAddr>() {
            return LookupStart::Known(Ok(vec![SocketAddr::new(ip, peer.port())]));
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = pending.get(peer) {
            return LookupStart::UnderWay(Arc::clone(lookup));
        }
        if pending.len() >= LOOKUPS {
            let reason = "too many look-ups of other names hang";
            return LookupStart::Known(Err(io::Error::other(reason)));
        }
        let lookup = Arc::new(Lookup::default());
        let work = {
            let (lookups, lookup, peer) = (self.clone(), Arc::clone(&lookup), peer.clone());
            move || lookups.run(&lookup, &peer)
        };
        match thread::Builder::new().name("lookup".to_owned()).stack_size(STACK).spawn(work) {
            Ok(_) => {
                pending.insert(peer.clone(), Arc::clone(&lookup));
                LookupStart::UnderWay(lookup)
            }
            Err(error) => LookupStart::Known(Err(error)),
        }
    }

    fn run(&self, lookup: &Lookup, peer: &Authority) {
        let found = (self.resolve)(peer.host(), peer.port());
        // Remove the entry, so that later requests begin a new look-up. The entry exists, because `begin` holds the
        // lock until it is inserted.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
        *lookup.answer() = Some(found.map_err(|error| (error.kind(), error.to_string())));
        lookup.done.notify_all();
        lookup.answered.notify_waiters();
    }
}

impl Lookup {
    fn answer(&self) -> MutexGuard<'_, Option<LookupAnswer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum LookupStart {
    Known(io::Result<Vec<SocketAddr>>),
    UnderWay(Arc<Lookup>),
}

fn given(answer: LookupAnswer) -> io::Result<Vec<SocketAddr>> {
    answer.map_err(|(kind, text)| io::Error::new(kind, text))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

    use super::*;
    use crate::http::Url;

    const SOON: Duration = Duration::from_secs(5);
    const MOMENT: Duration = Duration::from_millis(30);

    fn peer(host: &str) -> Authority {
        Url::parse(&format!("https://{host}:8935")).unwrap().authority().clone()
    }

    fn address(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, last], 8935))]
    }

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(SOON, future).await.expect("it does not hang")
    }

    #[tokio::test]
    async fn an_answer_is_not_cached() {
        static ASKED: AtomicU8 = AtomicU8::new(0);
        let lookups = Lookups::by(|_, _| Ok(address(1 + ASKED.fetch_add(1, Ordering::Relaxed))));
        assert_eq!(soon(lookups.addresses(&peer("o"))).await.unwrap(), address(1));
        assert_eq!(soon(lookups.addresses(&peer("o"))).await.unwrap(), address(2));
        let within = lookups.addresses_within(&peer("o"), SOON).unwrap();
        assert_eq!(within.unwrap(), address(3));
        assert!(lookups.pending.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_address_needs_no_look_up() {
        let lookups = Lookups::by(|_, _| panic!("asked"));
        assert_eq!(lookups.addresses(&peer("127.0.0.7")).await.unwrap(), address(7));
        let ipv6 = lookups.addresses(&peer("[::1]")).await.unwrap();
        assert_eq!(ipv6, ["[::1]:8935".parse().unwrap()]);
    }

    #[tokio::test]
    async fn every_caller_gets_the_error() {
        let lookups = Lookups::by(|_, _| Err(io::Error::other("no such name")));
        let error = soon(lookups.addresses(&peer("o"))).await.unwrap_err();
        assert_eq!(error.to_string(), "no such name");
    }

    #[tokio::test]
    async fn a_hanging_look_up_is_joined_and_delays_no_other_name() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        static FREE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        let lookups = Lookups::by(|host, _| {
            if host.starts_with("hangs") {
                BEGUN.fetch_add(usize::from(host == "hangs"), Ordering::Relaxed);
                drop(FREE.1.wait_while(FREE.0.lock().unwrap(), |free| !*free));
            }
            Ok(address(1))
        });
        for _ in 0..10 {
            let asked = tokio::time::timeout(MOMENT, lookups.addresses(&peer("hangs"))).await;
            assert!(asked.is_err());
            assert!(lookups.addresses_within(&peer("hangs"), MOMENT).is_none());
        }
        assert_eq!(soon(lookups.addresses(&peer("other"))).await.unwrap(), address(1));
        // Fill the list of look-ups that may hang. Then every further name is refused at once, but addresses are not.
        for n in 1..LOOKUPS {
            assert!(lookups.addresses_within(&peer(&format!("hangs{n}")), MOMENT).is_none());
        }
        let error = soon(lookups.addresses(&peer("other"))).await.unwrap_err();
        assert!(error.to_string().contains("too many look-ups"), "{error}");
        assert_eq!(soon(lookups.addresses(&peer("127.0.0.1"))).await.unwrap(), address(1));
        assert_eq!(lookups.pending.lock().unwrap().len(), LOOKUPS);
        assert!(BEGUN.load(Ordering::Relaxed) <= 1, "one thread for each name");
        // A caller that waits when the resolver answers gets the answer.
        let asked = async { lookups.addresses(&peer("hangs")).await };
        let freed = async {
            *FREE.0.lock().unwrap() = true;
            FREE.1.notify_all();
        };
        let (answer, ()) = soon(async { tokio::join!(asked, freed) }).await;
        assert_eq!(answer.unwrap(), address(1));
        assert_eq!(lookups.addresses_within(&peer("hangs1"), SOON).unwrap().unwrap(), address(1));
    }

    #[test]
    fn the_system_resolves_localhost() {
        let found = Lookups::new().addresses_within(&peer("localhost"), SOON).unwrap().unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 8935));
    }
}
