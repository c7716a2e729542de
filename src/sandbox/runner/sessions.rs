//! The open sessions of runners.
//!
//! Does not: check payments; `world` does.

use crate::runner::RunnerOptions;

/// Why a session cannot be opened or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunnerSessionError {
    /// Unknown runner or session: 404.
    Unknown,
    /// The runner's capacity is in use: 503.
    Full,
    /// A session with this id exists: 409.
    Taken,
}

impl RunnerSessionError {
    /// The HTTP status and the reason of the answer.
    pub(crate) fn reason(self) -> (u16, &'static str) {
        match self {
            Self::Unknown => (404, "not found"),
            Self::Full => (503, "runner has no capacity"),
            Self::Taken => (409, "session exists already"),
        }
    }
}

#[derive(Debug)]
struct OpenSession {
    id: String,
    runner: usize,
    /// Whether the app was started.
    runs: bool,
}

/// The open sessions of all runners, at most the sum of their capacities.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Vec<OpenSession>,
}

impl Sessions {
    /// The ids of all open sessions.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.open.iter().map(|session| session.id.as_str())
    }

    /// The number of open sessions of a runner.
    pub(crate) fn of(&self, runner: usize) -> u32 {
        let count = self.open.iter().filter(|session| session.runner == runner).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Opens a session.
    pub(crate) fn reserve(
        &mut self,
        runners: &[RunnerOptions],
        runner: usize,
        id: &str,
    ) -> Result<(), RunnerSessionError> {
        let options = runners.get(runner).ok_or(RunnerSessionError::Unknown)?;
        if self.ids().any(|open| open == id) {
            return Err(RunnerSessionError::Taken);
        }
        if self.of(runner) >= options.capacity {
            return Err(RunnerSessionError::Full);
        }
        self.open.push(OpenSession { id: id.to_owned(), runner, runs: false });
        Ok(())
    }

    /// Fails unless the runner has this session.
    pub(crate) fn check(&self, runner: usize, id: &str) -> Result<(), RunnerSessionError> {
        let is_open = self.open.iter().any(|open| open.runner == runner && open.id == id);
        if is_open { Ok(()) } else { Err(RunnerSessionError::Unknown) }
    }

    /// The runner of a session.
    pub(crate) fn runner(&self, id: &str) -> Option<usize> {
        self.open.iter().find(|open| open.id == id).map(|open| open.runner)
    }

    /// Marks the app of a session as started. Returns false if the app was started before, or the session is unknown.
    pub(crate) fn run(&mut self, id: &str) -> bool {
        let session = self.open.iter_mut().find(|open| open.id == id);
        session.is_some_and(|session| !std::mem::replace(&mut session.runs, true))
    }

    /// Closes a session. Returns false if the session is unknown.
    pub(crate) fn release(&mut self, id: &str) -> bool {
        let before = self.open.len();
        self.open.retain(|open| open.id != id);
        self.open.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_has_sessions_up_to_its_capacity() {
        let runners =
            [RunnerOptions { capacity: 2, ..RunnerOptions::default() }, RunnerOptions::default()];
        let mut sessions = Sessions::default();
        let mut reserve = |runner, id| sessions.reserve(&runners, runner, id);
        assert_eq!(reserve(0, "a"), Ok(()));
        assert_eq!(reserve(0, "b"), Ok(()));
        assert_eq!(reserve(0, "c"), Err(RunnerSessionError::Full));
        assert_eq!(reserve(1, "a"), Err(RunnerSessionError::Taken));
        assert_eq!(reserve(1, "c"), Ok(()));
        assert_eq!(reserve(2, "d"), Err(RunnerSessionError::Unknown));
        assert_eq!((sessions.of(0), sessions.runner("c")), (2, Some(1)));
        assert_eq!(sessions.check(1, "a"), Err(RunnerSessionError::Unknown));
        assert!(sessions.run("a") && !sessions.run("a") && !sessions.run("z"));
        assert!(sessions.release("a") && !sessions.release("a"));
        assert_eq!(sessions.reserve(&runners, 0, "e"), Ok(()));
    }
}
