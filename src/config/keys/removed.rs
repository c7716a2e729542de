//! Keys that earlier versions took. **To remove a key, move its name here**: a device that still has it in its
//! configuration works after the upgrade, and logs what to use.
//!
//! Does not: copy a value to the key that replaces it.

use super::variable;

/// A key that is ignored, with a warning.
#[derive(Debug)]
pub(in crate::config) struct Removed {
    /// `section.name`.
    pub(in crate::config) name: &'static str,
    /// What to do instead: `use section.other`.
    pub(in crate::config) instead: &'static str,
}

/// Every key that was removed.
pub(in crate::config) const REMOVED: &[Removed] = &[Removed {
    name: "source.credential-file",
    instead: "use source.credential = \"file:/path\"",
}];

impl Removed {
    /// The environment variable of the key.
    pub(in crate::config) fn variable(&self) -> String {
        variable(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{key, keys};

    #[test]
    fn a_removed_key_is_not_a_key_and_names_a_present_one() {
        for removed in REMOVED {
            assert!(key(removed.name).is_none(), "{}", removed.name);
            let names_a_key = keys().any(|key| removed.instead.contains(key.name));
            assert!(names_a_key, "{}", removed.instead);
        }
    }
}
