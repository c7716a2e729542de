//! Lists the running jobs, and decides whether an abandoned one keeps the runner from starting another.
//!
//! The network's runner runs one job at a time. Once it has read a control message of a job, it cannot stop that job
//! while a GET on the control channel is pending. A client that leaves without a DELETE therefore blocks the runner:
//! the next start hangs until the channels of the abandoned job are deleted or closed as idle.
//!
//! Does not: wait; `io::start` does.

use std::time::{Duration, Instant};

/// A job counts as abandoned after this long without video. The time is longer than any pause between two segments of a
/// connected client, and shorter than an agent takes to start again after a power cut.
const ABANDONED: Duration = Duration::from_secs(3);

/// The running jobs, oldest first.
#[derive(Debug, Default)]
pub(crate) struct RunningJobs(Vec<RunningJob>);

#[derive(Debug)]
struct RunningJob {
    manifest: String,
    has_control: bool,
    last_video: Instant,
}

impl RunningJobs {
    /// Adds a job that begins.
    pub(crate) fn begin(&mut self, manifest: &str, now: Instant) {
        let manifest = manifest.to_owned();
        self.0.push(RunningJob { manifest, has_control: false, last_video: now });
    }

    /// Call when the runner has read a control message of a job.
    pub(crate) fn on_control(&mut self, manifest: &str) {
        if let Some(job) = self.find(manifest) {
            job.has_control = true;
        }
    }

    /// Call when video of a job has arrived.
    pub(crate) fn on_video(&mut self, manifest: &str, now: Instant) {
        if let Some(job) = self.find(manifest) {
            job.last_video = now;
        }
    }

    /// Removes a job whose app has ended.
    pub(crate) fn end(&mut self, manifest: &str) {
        self.0.retain(|job| job.manifest != manifest);
    }

    /// The number of running jobs.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The manifest ids of the running jobs.
    pub(crate) fn manifests(&self) -> Vec<String> {
        self.0.iter().map(|job| job.manifest.clone()).collect()
    }

    /// Whether an abandoned job blocks the runner.
    pub(crate) fn is_blocked(&self, now: Instant) -> bool {
        let is_abandoned =
            |job: &RunningJob| now.saturating_duration_since(job.last_video) >= ABANDONED;
        self.0.iter().any(|job| job.has_control && is_abandoned(job))
    }

    fn find(&mut self, manifest: &str) -> Option<&mut RunningJob> {
        self.0.iter_mut().find(|job| job.manifest == manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abandoned_job_with_a_control_message_blocks_the_runner_until_it_ends() {
        let start = Instant::now();
        let mut jobs = RunningJobs::default();
        jobs.begin("a", start);
        jobs.on_video("a", start + ABANDONED);
        assert!(!jobs.is_blocked(start + 3 * ABANDONED), "no control message was read");
        jobs.on_control("a");
        assert!(!jobs.is_blocked(start + ABANDONED), "video arrives");
        assert!(jobs.is_blocked(start + 2 * ABANDONED));
        assert_eq!((jobs.count(), jobs.manifests()), (1, vec!["a".to_owned()]));
        jobs.end("a");
        assert!(!jobs.is_blocked(start + 2 * ABANDONED));
        assert_eq!(jobs.count(), 0);
    }
}
