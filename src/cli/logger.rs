//! The log on standard error: plain lines for a terminal, lines with priorities for the journal.
//!
//! The journal adds the time, and reads a priority at the start of each line: `<4>` is a warning. The configured level
//! applies to this program only. Libraries are logged at warn and above, because their lower levels may contain URLs and
//! headers, which are credentials here. `simple_logger` filters by these levels; [`stderr`] writes the lines, because
//! `simple_logger` panics if standard error cannot be written.
//!
//! Texts of peers are sanitized where they are received; every line is sanitized again here.
//!
//! Does not: write files; on a device the journal stores the log, with its own limits.

use std::os::unix::fs::MetadataExt;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use super::{Error, stderr};
use resilience::fault::chain;
use resilience::sanitize;

/// The most characters of a log line. The longest line that the agent itself writes is a pipeline, of about 1200.
const LINE_CHARS: usize = 2000;

/// The most characters of a line of the final error: 64 orchestrators, each with its reason.
const ERROR_CHARS: usize = 32 << 10;
/// The prefix of this program's crates.
const OURS: &str = "livepeer_";

/// Sets up the log. Call it once; later, change the level with `log::set_max_level`.
pub fn init(level: LevelFilter) {
    log::set_max_level(level);
    let lines = Lines { levels: levels(), is_journal: is_journal(), write: stderr::write };
    // This fails only if a logger is set already; then that one is used.
    let _ = log::set_boxed_logger(Box::new(lines));
}

/// The filter for program and libraries; `log::max_level` limits both.
fn levels() -> SimpleLogger {
    SimpleLogger::new().with_level(LevelFilter::Warn).with_module_level(OURS, LevelFilter::Trace)
}

/// Prints the error that ends the program, with its causes. Call it once.
pub fn print_error(error: &Error) {
    let text = format!("error: {}", chain(error));
    // Each problem of a configuration has its own line.
    let shown: Vec<String> = text.lines().map(|line| sanitize::line(line, ERROR_CHARS)).collect();
    let text = shown.join("\n");
    let lines = if is_journal() { with_priority(Level::Error, &text) } else { format!("{text}\n") };
    stderr::write(lines);
}

/// Whether standard error is the journal. A child with another standard error inherits `$JOURNAL_STREAM`, so the device
/// and inode that the variable names are compared.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Formats each message as one sanitized line of bounded length.
struct Lines<W> {
    levels: SimpleLogger,
    is_journal: bool,
    write: W,
}

impl<W: Fn(String) + Send + Sync> Log for Lines<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && self.levels.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (level, target) = (record.level(), record.target());
        let text = sanitize::line(&record.args().to_string(), LINE_CHARS);
        let text = format!("[{target}] {text}");
        (self.write)(match self.is_journal {
            true => with_priority(level, &text),
            false => format!("{level:<5} {text}\n"),
        });
    }

    fn flush(&self) {
        stderr::flush();
    }
}

/// Prefixes each line with its priority (`sd-daemon(3)`); the journal treats every line as a message.
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
    use std::sync::Mutex;

    use super::*;

    /// The written form of these lines, each with its level and target, at level trace.
    fn written(is_journal: bool, lines: &[(Level, &str, &str)]) -> Vec<String> {
        log::set_max_level(LevelFilter::Trace);
        let seen = Mutex::new(Vec::new());
        let write = |line| seen.lock().unwrap().push(line);
        let logger = Lines { levels: levels(), is_journal, write };
        for (level, target, text) in lines {
            let mut record = Record::builder();
            let record = record.target(target).level(*level);
            logger.log(&record.args(format_args!("{text}")).build());
        }
        seen.into_inner().unwrap()
    }

    #[test]
    fn every_line_has_its_priority() {
        assert_eq!(with_priority(Level::Warn, "a\nb"), "<4>a\n<4>b\n");
        assert_eq!(with_priority(Level::Trace, "a"), "<7>a\n");
    }

    #[test]
    fn a_terminal_sees_the_level_and_the_journal_its_priority() {
        let lines = [(Level::Info, "livepeer_edge::a", "b"), (Level::Error, "livepeer_edge", "c")];
        let plain = ["INFO  [livepeer_edge::a] b\n", "ERROR [livepeer_edge] c\n"];
        assert_eq!(written(false, &lines), plain);
        let journal = ["<6>[livepeer_edge::a] b\n", "<3>[livepeer_edge] c\n"];
        assert_eq!(written(true, &lines), journal);
    }

    #[test]
    fn a_message_is_one_harmless_line() {
        let long = "x".repeat(1 << 20);
        let ours = |text| (Level::Info, "livepeer_edge", text);
        let seen = written(false, &[ours("a\u{1b}[2Jb\nERROR c"), ours(&long)]);
        let start = "INFO  [livepeer_edge] ";
        assert_eq!(seen[0], format!("{start}a [2Jb ERROR c\n"));
        let expected = start.len() + LINE_CHARS + 1;
        assert_eq!((seen.len(), seen[1].chars().count()), (2, expected));
    }

    #[test]
    fn libraries_are_logged_from_warnings_on() {
        #[track_caller]
        fn check(target: &str, level: Level, expected: bool) {
            assert_eq!(written(false, &[(level, target, "a")]).len() == 1, expected);
        }
        check("livepeer_edge::agent", Level::Trace, true);
        check("hyper::client", Level::Info, false);
        check("hyper::client", Level::Warn, true);
    }
}
