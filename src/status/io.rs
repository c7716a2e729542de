//! Collects the facts of one time, and makes the report of them.
//!
//! The temperature and the power of the device are read from the kernel when a report is requested, and at no other
//! time.
//!
//! Does not: judge; [`chain`](super::chain) does.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cells::lock;
use super::chain;
use super::device::{Throttling, temperature, throttling};
use super::facts::{Facts, Figures, UplinkFacts};
use super::identity::{Identity, StatusOptions};
use super::report::{Device, Moment, StatusReport};
use super::{AgentFacts, Status};

/// The directory of the kernel's temperatures.
const THERMAL: &str = "/sys/class/thermal";
/// The most temperatures that are read.
const ZONES: usize = 16;
/// The Raspberry Pi's flags of throttling.
const THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/// The kernel's name for this host.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

impl Status {
    /// The report of this time. Reads some files of the kernel.
    pub fn report(&self, now: Instant) -> StatusReport {
        let facts = self.facts(now);
        let links = chain::judge(&facts);
        let ages = lock(&self.shared.memory).note(&links, now);
        let since = self.shared.started.get_or_init(|| now);
        let moment = Moment {
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
            uptime: now.saturating_duration_since(*since),
            identity: self.identity(),
            notice: self.notice.get(),
            job: lock(&self.shared.job).clone(),
            device: Device { temperature: hottest(Path::new(THERMAL)), throttling: slowed() },
        };
        let figures = Figures {
            flow: self.shared.units.get().map(|units| units.flow(now)).unwrap_or_default(),
            uploads: self.publish.uploads.read(now),
            round_trip: self.returned.round_trip.read(now),
            kernel: self.publish.flow().map(|flow| (flow.unsent, flow.round_trip)),
        };
        StatusReport::new(&facts, &figures, (&links, &ages), moment)
    }

    /// The state in one line, for the service manager.
    pub(crate) fn summary(&self, now: Instant) -> String {
        let facts = self.facts(now);
        let links = chain::judge(&facts);
        let _ = lock(&self.shared.memory).note(&links, now);
        chain::summary(&links, &facts)
    }

    /// The number of frames that were captured so far.
    pub(crate) fn captured(&self, now: Instant) -> u64 {
        let [captured, _] =
            self.shared.units.get().map(|units| units.moves(now)).unwrap_or_default();
        captured.count
    }

    /// Sets the name and the labels of this instance. `config` is the configuration file.
    pub(crate) fn set_identity(&self, options: &StatusOptions, config: Option<&Path>) {
        let host = fs::read_to_string(HOST_NAME).unwrap_or_default();
        let config = config.and_then(Path::file_stem).map(|name| name.to_string_lossy());
        let identity = Identity::new(options, host.trim(), config.as_deref());
        *lock(&self.shared.identity) = identity;
    }

    /// Call it once when the program begins, so that the uptime is known.
    pub(crate) fn begin(&self, now: Instant) {
        let _ = self.shared.started.set(now);
    }

    fn facts(&self, now: Instant) -> Facts {
        let publish = &self.publish;
        let agent: AgentFacts = lock(&self.shared.agent).clone();
        let outputs = lock(&self.shared.outputs);
        let moves = self.shared.units.get().map(|units| units.moves(now));
        let [captured, encoded] = moves.unwrap_or_default();
        Facts {
            now,
            agent,
            captured,
            encoded,
            uplink: UplinkFacts {
                is_failing: publish.is_failing.load(Relaxed),
                segments: publish.segments.read(now),
                bytes: publish.bytes.read(now),
                lost: publish.lost.load(Relaxed),
                in_flight: publish.in_flight.load(Relaxed),
                outages: publish.outages.load(Relaxed),
            },
            model: self.model.get(),
            returned: self.returned.facts(now),
            data: self.data.used(),
            payment: self.payment.facts(),
            outputs: outputs.0.as_ref().map(|read| read()).unwrap_or_default(),
        }
    }
}

/// The highest temperature of this device's zones.
fn hottest(directory: &Path) -> Option<f64> {
    let zones = fs::read_dir(directory).ok()?.flatten().take(4 * ZONES);
    let zones =
        zones.filter(|entry| entry.file_name().to_string_lossy().starts_with("thermal_zone"));
    let read = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("temp")).ok();
    zones.take(ZONES).filter_map(read).filter_map(|text| temperature(&text)).reduce(f64::max)
}

fn slowed() -> Option<Throttling> {
    throttling(&fs::read_to_string(THROTTLED).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_zone_counts() {
        let directory = std::env::temp_dir().join(format!("thermal-{}", std::process::id()));
        for (zone, text) in [
            ("thermal_zone0", "41000"),
            ("thermal_zone1", "52500"),
            ("thermal_zone2", "-"),
            ("cooling_device0", "99000"),
        ] {
            fs::create_dir_all(directory.join(zone)).unwrap();
            fs::write(directory.join(zone).join("temp"), text).unwrap();
        }
        assert_eq!(hottest(&directory), Some(52.5));
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(hottest(&directory), None);
    }
}
