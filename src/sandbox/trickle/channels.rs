//! All channels by name, at most [`CHANNELS`] of them.
//!
//! Does not: make names; the caller does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::trickle::Channel;

/// Maximum number of channels: four for each job, and more for tests.
const CHANNELS: usize = 256;

/// The limit of [`CHANNELS`] is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// A reference to a channel.
#[derive(Debug, Clone)]
pub(crate) struct SharedChannel(Arc<Mutex<Channel>>);

impl SharedChannel {
    /// The channel; the caller must drop the guard before it awaits.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Channel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The channels of a server.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    by_name: HashMap<String, SharedChannel>,
}

impl Channels {
    /// The channel of this name.
    pub(crate) fn find(&self, name: &str) -> Option<SharedChannel> {
        self.by_name.get(name).cloned()
    }

    /// The channel of this name, created if there is none.
    pub(crate) fn create(
        &mut self,
        name: &str,
        content_type: &str,
        now: Instant,
    ) -> Result<SharedChannel, TooMany> {
        if let Some(channel) = self.find(name) {
            return Ok(channel);
        }
        if self.by_name.len() >= CHANNELS {
            return Err(TooMany);
        }
        let channel = SharedChannel(Arc::new(Mutex::new(Channel::new(content_type, now))));
        self.by_name.insert(name.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Closes and removes a channel. Returns false if the channel does not exist.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some_and(|channel| {
            channel.lock().close();
            true
        })
    }

    /// Closes and removes the channels that have been idle for longer than `limit`. Returns their number.
    pub(crate) fn sweep(&mut self, now: Instant, limit: Duration) -> usize {
        let before = self.by_name.len();
        self.by_name.retain(|_, channel| {
            let mut channel = channel.lock();
            let idle = channel.is_idle(now, limit);
            if idle {
                channel.close();
            }
            !idle
        });
        before - self.by_name.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_created_once_and_deleted() {
        let (mut channels, now) = (Channels::default(), Instant::now());
        let channel = channels.create("a", "video/mp2t", now).unwrap();
        channels.create("a", "other", now).unwrap();
        assert_eq!(channels.find("a").unwrap().lock().content_type(), "video/mp2t");
        assert!(channels.delete("a") && !channels.delete("a"));
        assert!(channel.lock().is_closed() && channels.find("a").is_none());
    }

    #[test]
    fn the_number_of_channels_is_limited() {
        let (mut channels, now) = (Channels::default(), Instant::now());
        for i in 0..CHANNELS {
            channels.create(&i.to_string(), "", now).unwrap();
        }
        assert_eq!(channels.create("more", "", now).unwrap_err(), TooMany);
        assert!(channels.create("0", "", now).is_ok());
    }

    #[test]
    fn only_idle_channels_are_swept() {
        let (mut channels, now) = (Channels::default(), Instant::now());
        let idle = channels.create("idle", "", now).unwrap();
        let busy = channels.create("busy", "", now).unwrap();
        busy.lock().advance(0, now + Duration::from_secs(1));
        assert_eq!(channels.sweep(now + Duration::from_secs(5), Duration::from_secs(4)), 1);
        assert!(idle.lock().is_closed() && !busy.lock().is_closed());
        assert!(channels.find("idle").is_none() && channels.find("busy").is_some());
    }
}
