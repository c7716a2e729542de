//! The log on standard error: plain lines for a terminal, lines with priorities for the journal.
//!
//! Under systemd the journal has the time already, and reads a priority in front: `<4>` is a warning.
//! Only this program's lines follow the configured level. Libraries speak from warnings on, because
//! what they log below may hold URLs and headers, which are credentials here.
//!
//! What peers say is made harmless where it comes in; here every line is made so once more, whatever is in it.
//!
//! Does not: write files; on a device, the journal limits what the disk gets.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use super::Error;
use crate::capacity::LINE_CHARS;
use crate::fault::chain;
use crate::words;

/// Characters of a line of the last error: 64 orchestrators, each with its reason.
const ERROR_CHARS: usize = 32 << 10;
const OURS: &str = "livepeer_edge";

/// Starts logging. Call it once.
pub fn init(level: LevelFilter) {
    log::set_max_level(level);
    let started = if is_journal() {
        log::set_boxed_logger(Box::new(Lines(Journal { level })))
    } else {
        let libraries = level.min(LevelFilter::Warn);
        let plain = SimpleLogger::new().with_level(libraries).with_module_level(OURS, level);
        log::set_boxed_logger(Box::new(Lines(plain)))
    };
    // It fails only if there is a logger already: then that one is used.
    let _ = started;
}

/// Prints why the program ends, with its causes, once.
pub fn print_error(error: &Error) {
    let text = format!("error: {}", chain(error));
    // The problems of a configuration have a line each.
    let shown: Vec<String> = text.lines().map(|line| words::line(line, ERROR_CHARS)).collect();
    let text = shown.join("\n");
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

/// Makes each message one harmless line of bounded length.
struct Lines<L>(L);

impl<L: Log> Log for Lines<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.0.enabled(record.metadata()) {
            let line = words::line(&record.args().to_string(), LINE_CHARS);
            let metadata = record.metadata().clone();
            self.0.log(&Record::builder().metadata(metadata).args(format_args!("{line}")).build());
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// What the journal of systemd reads.
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
    fn a_message_is_one_harmless_line() {
        struct Seen(std::sync::Mutex<Vec<String>>);

        impl Log for Seen {
            fn enabled(&self, metadata: &Metadata<'_>) -> bool {
                metadata.level() <= Level::Info
            }

            fn log(&self, record: &Record<'_>) {
                assert_eq!((record.target(), record.level()), ("t", Level::Info));
                self.0.lock().unwrap().push(record.args().to_string());
            }

            fn flush(&self) {}
        }

        let lines = Lines(Seen(Vec::new().into()));
        let long = "x".repeat(1 << 20);
        for (level, text) in [
            (Level::Info, "a\u{1b}[2Jb\nERROR c"),
            (Level::Debug, "not shown"),
            (Level::Info, &long),
        ] {
            let mut record = Record::builder();
            let record = record.target("t").level(level);
            lines.log(&record.args(format_args!("{text}")).build());
        }
        let seen = lines.0.0.into_inner().unwrap();
        assert_eq!(seen[0], "a [2Jb ERROR c");
        assert_eq!((seen.len(), seen[1].chars().count()), (2, LINE_CHARS));
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
