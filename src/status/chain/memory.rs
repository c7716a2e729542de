//! Remembers for how long each link has had its state.
//!
//! Does not: judge.

use std::time::{Duration, Instant};

use super::{Judged, LinkState};

/// The states of the links at the last judgement, each with the time of its change.
#[derive(Debug, Clone, Default)]
pub(in crate::status) struct Memory([Option<(LinkState, Instant)>; 9]);

impl Memory {
    /// Call it at each judgement. Returns how long each link has had its state.
    pub(in crate::status) fn note(&mut self, links: &[Judged; 9], now: Instant) -> [Duration; 9] {
        let mut ages = [Duration::ZERO; 9];
        for ((link, known), age) in links.iter().zip(&mut self.0).zip(&mut ages) {
            let since = match known {
                Some((state, since)) if *state == link.state => *since,
                _ => {
                    *known = Some((link.state, now));
                    now
                }
            };
            *age = now.saturating_duration_since(link.since.unwrap_or(since));
        }
        ages
    }
}
