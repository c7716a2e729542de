//! The log on standard error: plain lines for a terminal, lines with priorities for the journal.
//!
//! Under systemd the journal has the time already, and reads a priority in front: `<4>` is a warning.
//! Only this program's lines follow the configured level. Libraries speak from warnings on, because
//! what they log below may hold URLs and headers, which are credentials here.
//!
//! Does not: write files; on a device, the journal limits what the disk gets.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use super::Error;

const OURS: &str = "livepeer_edge";

/// Starts logging. Call it once.
pub fn init(level: LevelFilter) {
    let started = if is_journal() {
        log::set_max_level(level);
        log::set_boxed_logger(Box::new(Journal { level }))
    } else {
        let libraries = level.min(LevelFilter::Warn);
        SimpleLogger::new().with_level(libraries).with_module_level(OURS, level).init()
    };
    // It fails only if there is a logger already: then that one is used.
    let _ = started;
}

/// Prints why the program ends, with its causes, once.
pub fn print_error(error: &Error) {
    let mut text = format!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    let lines = if is_journal() { with_priority(Level::Error, &text) } else { format!("{text}\n") };
    let _ = io::stderr().lock().write_all(lines.as_bytes());
}

/// Whether standard error is the journal: systemd says in `$JOURNAL_STREAM` which device and inode
/// its socket has, since a child with another standard error inherits the variable too.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

struct Journal {
    level: LevelFilter,
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let limit = match metadata.target().starts_with(OURS) {
            true => self.level,
            false => self.level.min(LevelFilter::Warn),
        };
        metadata.level() <= limit
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = format!("[{}] {}", record.target(), record.args());
            let lines = with_priority(record.level(), &text);
            let _ = io::stderr().lock().write_all(lines.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Each line with its priority by `sd-daemon(3)`; the journal takes every line for itself.
fn with_priority(level: Level, text: &str) -> String {
    let priority = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    text.lines().map(|line| format!("<{priority}>{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_priority() {
        assert_eq!(with_priority(Level::Warn, "a\nb"), "<4>a\n<4>b\n");
        assert_eq!(with_priority(Level::Trace, "a"), "<7>a\n");
    }

    #[test]
    fn libraries_speak_from_warnings_on() {
        #[track_caller]
        fn check(level: LevelFilter, target: &str, line: Level, expected: bool) {
            let metadata = Metadata::builder().target(target).level(line).build();
            assert_eq!(Journal { level }.enabled(&metadata), expected);
        }
        check(LevelFilter::Trace, "livepeer_edge::agent", Level::Trace, true);
        check(LevelFilter::Trace, "hyper::client", Level::Info, false);
        check(LevelFilter::Trace, "hyper::client", Level::Warn, true);
        check(LevelFilter::Error, "hyper::client", Level::Warn, false);
        check(LevelFilter::Info, "livepeer_edge", Level::Debug, false);
    }
}
