//! Judges facts about this computer: the clock, memory, the kernel's settings, and disks.
//!
//! Does not: collect the facts; `io::machine` does.

use std::path::PathBuf;

use super::finding::Finding;
use livepeer_gateway::clock::ClockState;

/// Below this, the agent and a software encoder at 1280×720 (60 MB, measured) may not fit.
const MEMORY: u64 = 100 << 20;
/// Below this, a disk is full within minutes: 10 min of 2 Mbit/s.
const SPACE: u64 = 150 << 20;

/// The kernel settings of the package, as `60-livepeer-edge.conf` sets them.
pub(super) const SETTINGS: [(&str, &str); 3] = [
    ("net.ipv4.tcp_slow_start_after_idle", "0"),
    ("net.ipv4.tcp_no_metrics_save", "1"),
    ("net.ipv4.tcp_min_rtt_wlen", "5"),
];

/// Facts about this computer.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) clock: Option<ClockState>,
    /// What the schedule of jobs says now, with the local time; `None` without one.
    pub(super) schedule: Option<String>,
    /// Bytes of memory that programs may still use.
    pub(super) memory: Option<u64>,
    /// The present values of [`SETTINGS`], in their order.
    pub(super) settings: Vec<Option<String>>,
    /// The names of the congestion controls that the kernel offers.
    pub(super) congestion_controls: Option<String>,
    pub(super) directories: Vec<Directory>,
}

/// A directory that the agent writes to.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// The key that names the directory.
    pub(super) key: &'static str,
    pub(super) path: PathBuf,
    /// Why no file can be made there; `None` if one was made.
    pub(super) refused: Option<String>,
    pub(super) free: Option<u64>,
    /// The bytes that the agent may write there; `None` if it writes without a limit, or little.
    pub(super) limit: Option<u64>,
}

/// The findings about this computer.
pub(super) fn all(machine: &Machine) -> Vec<Finding> {
    let mut findings = vec![clock(machine.clock), memory(machine.memory), kernel(machine)];
    findings.extend(machine.schedule.iter().map(|text| Finding::ok("schedule", text)));
    findings.extend(machine.directories.iter().map(directory));
    findings
}

fn clock(state: Option<ClockState>) -> Finding {
    let advice =
        "`timedatectl` shows its state; `sudo timedatectl set-ntp true` turns synchronisation on";
    match state {
        Some(ClockState::Synchronised) => Finding::ok("clock", "a time source has set it"),
        Some(ClockState::Unsynchronised) => Finding::warning(
            "clock",
            "no time source has set it: certificates may look expired",
            advice,
        ),
        Some(ClockState::Unknown) => Finding::warning(
            "clock",
            "no program of this computer knows whether it is right",
            "install systemd-timesyncd or chrony",
        ),
        Some(ClockState::Past) => Finding::failed(
            "clock",
            "it shows a time before this program was made: no certificate is valid then",
            advice,
        ),
        None => Finding::warning("clock", "the programs that know its state do not answer", advice),
    }
}

fn memory(available: Option<u64>) -> Finding {
    match available {
        Some(bytes) if bytes >= MEMORY => {
            Finding::ok("memory", format!("{} are available", size(bytes)))
        }
        Some(bytes) => Finding::warning(
            "memory",
            format!("only {} are available", size(bytes)),
            "end other programs, or lower video.width and video.height",
        ),
        None => Finding::warning("memory", "/proc/meminfo cannot be read", "mount /proc"),
    }
}

fn kernel(machine: &Machine) -> Finding {
    let differs = |((name, wanted), now): (&(&str, &str), &Option<String>)| match now {
        Some(now) if now == wanted => None,
        Some(now) => Some(format!("{name} is {now}, not {wanted}")),
        None => Some(format!("{name} cannot be read")),
    };
    let mut wrong: Vec<String> =
        SETTINGS.iter().zip(&machine.settings).filter_map(differs).collect();
    let offered = machine.congestion_controls.as_deref().unwrap_or_default();
    if !offered.split_whitespace().any(|name| name == "bbr") {
        wrong.push("BBR is not loaded".to_owned());
    }
    match wrong.is_empty() {
        true => Finding::ok("kernel", "has the settings of the package"),
        false => Finding::warning(
            "kernel",
            wrong.join("; "),
            "the package sets them: `sudo sysctl --system && sudo modprobe tcp_bbr`; by hand: systemd/README.md",
        ),
    }
}

fn directory(directory: &Directory) -> Finding {
    let Directory { key, path, refused, free, limit } = directory;
    let about = path.display().to_string();
    let finding = match (refused, free) {
        (Some(reason), _) => Finding::failed(
            "disk",
            format!("no file can be made there: {reason}"),
            format!("give the user of the agent the right to write there, or change {key}"),
        ),
        (None, Some(free)) if *free < limit.unwrap_or(SPACE) => {
            let wanted = limit.map(|limit| format!(", and {} may be written", size(limit)));
            let what = format!("only {} are free{}", size(*free), wanted.unwrap_or_default());
            Finding::warning("disk", what, format!("make room there, or change {key}"))
        }
        (None, Some(free)) => Finding::ok("disk", format!("{} are free", size(*free))),
        (None, None) => Finding::ok("disk", "a file can be made there"),
    };
    finding.about(about)
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[track_caller]
    fn check(finding: &Finding, verdict: Verdict, what: &str) {
        assert_eq!((finding.verdict, finding.what.as_str()), (verdict, what));
        assert_eq!(finding.advice.is_empty(), verdict == Verdict::Ok, "{}", finding.advice);
    }

    fn machine() -> Machine {
        Machine {
            clock: Some(ClockState::Synchronised),
            schedule: None,
            memory: Some(1 << 30),
            settings: SETTINGS.iter().map(|(_, wanted)| Some((*wanted).to_owned())).collect(),
            congestion_controls: Some("reno cubic bbr".to_owned()),
            directories: Vec::new(),
        }
    }

    #[test]
    fn the_settings_are_those_of_the_package() {
        let file = include_str!("../../../systemd/60-livepeer-edge.conf");
        let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let settings: Vec<_> = lines.filter_map(|line| line.split_once(" = ")).collect();
        assert_eq!(settings, SETTINGS);
    }

    #[test]
    fn a_clock_is_right_wrong_or_doubtful() {
        check(&clock(Some(ClockState::Synchronised)), Verdict::Ok, "a time source has set it");
        for state in [Some(ClockState::Unsynchronised), Some(ClockState::Unknown), None] {
            assert_eq!(clock(state).verdict, Verdict::Warning, "{state:?}");
        }
        assert_eq!(clock(Some(ClockState::Past)).verdict, Verdict::Failed);
    }

    #[test]
    fn a_schedule_is_shown_if_there_is_one() {
        let shown = |machine: &Machine| all(machine).into_iter().find(|f| f.id == "schedule");
        assert_eq!(shown(&machine()), None);
        let text = "job.schedule is closed up to Mon 08:00; it is Sun 19:12 here";
        let with_one = Machine { schedule: Some(text.to_owned()), ..machine() };
        check(&shown(&with_one).unwrap(), Verdict::Ok, text);
    }

    #[test]
    fn little_memory_is_a_warning() {
        check(&memory(Some(1 << 30)), Verdict::Ok, "1.0 GB are available");
        check(&memory(Some(40 << 20)), Verdict::Warning, "only 41 MB are available");
        check(&memory(None), Verdict::Warning, "/proc/meminfo cannot be read");
    }

    #[test]
    fn other_settings_of_the_kernel_are_named() {
        check(&kernel(&machine()), Verdict::Ok, "has the settings of the package");
        let mut other = machine();
        other.settings[0] = Some("1".to_owned());
        other.settings[2] = None;
        other.congestion_controls = Some("reno cubic".to_owned());
        check(
            &kernel(&other),
            Verdict::Warning,
            "net.ipv4.tcp_slow_start_after_idle is 1, not 0; net.ipv4.tcp_min_rtt_wlen cannot be read; \
             BBR is not loaded",
        );
    }

    #[test]
    fn a_directory_must_be_writable_and_have_room() {
        let of = |refused: Option<&str>, free, limit| {
            let (key, path) = ("store.directory", PathBuf::from("/srv"));
            directory(&Directory { key, path, refused: refused.map(str::to_owned), free, limit })
        };
        check(&of(None, Some(5_400_000_000), None), Verdict::Ok, "5.4 GB are free");
        check(&of(None, None, None), Verdict::Ok, "a file can be made there");
        check(&of(None, Some(1_000_000), None), Verdict::Warning, "only 1 MB are free");
        check(
            &of(None, Some(5_400_000_000), Some(6_000_000_000)),
            Verdict::Warning,
            "only 5.4 GB are free, and 6.0 GB may be written",
        );
        let read_only = "Read-only file system (os error 30)";
        let finding = of(Some(read_only), Some(5_400_000_000), None);
        check(&finding, Verdict::Failed, &format!("no file can be made there: {read_only}"));
        assert!(finding.advice.contains("store.directory"), "{}", finding.advice);
    }
}
