//! Checks what a gateway publishes.
//!
//! Does not: touch channels or sockets.

use std::fmt;

use crate::sandbox::Role;

/// Violations that are listed one by one; all are counted.
const LISTED: usize = 100;

/// Something that a gateway must not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A seq was sent again: the real server mixes the bytes or throws them away.
    ReusedSeq {
        /// The kind of channel.
        role: Role,
        /// The seq.
        seq: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReusedSeq { role, seq } => {
                write!(f, "{role:?} channel: seq {seq} was sent again")
            }
        }
    }
}

/// What a gateway did wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    count: u64,
    list: Vec<Violation>,
}

impl Violations {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, at most 100.
    pub fn list(&self) -> &[Violation] {
        &self.list
    }

    pub(crate) fn add(&mut self, violation: Violation) {
        log::warn!("sandbox: {violation}");
        self.count += 1;
        if self.list.len() < LISTED {
            self.list.push(violation);
        }
    }
}
