//! The log on standard error: plain lines for a terminal, lines with priorities for the journal.
//!
//! Under systemd the journal has the time already, and reads a priority in front: `<4>` is a warning.
//! Only this program's lines follow the configured level. Libraries are logged from warnings on, because
//! what they log below may hold URLs and headers, which are credentials here. `simple_logger` keeps these levels.
//! It does not write the lines, because it panics where standard error takes none: [`stderr`] writes.
//!
//! What peers say is made harmless where it comes in; here every line is made so once more, whatever is in it.
//!
//! Does not: write files; on a device, the journal limits what the disk gets.

use std::os::unix::fs::MetadataExt;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use super::{Error, stderr};
use resilience::fault::chain;
use resilience::words;

/// Characters of a line of the log, whatever is in it.
const LINE_CHARS: usize = 1000;

/// Characters of a line of the last error: 64 orchestrators, each with its reason.
const ERROR_CHARS: usize = 32 << 10;
/// How the names of this program's crates begin.
const OURS: &str = "livepeer_";

/// Starts logging. Call it once. `log::set_max_level` changes the level from then on.
pub fn init(level: LevelFilter) {
    log::set_max_level(level);
    let lines = Lines { levels: levels(), is_journal: is_journal(), write: stderr::write };
    // It fails only if there is a logger already: then that one is used.
    let _ = log::set_boxed_logger(Box::new(lines));
}

/// Which lines may be logged at all; `log::max_level` is the limit of both.
fn levels() -> SimpleLogger {
    SimpleLogger::new().with_level(LevelFilter::Warn).with_module_level(OURS, LevelFilter::Trace)
}

/// Prints why the program ends, with its causes, once.
pub fn print_error(error: &Error) {
    let text = format!("error: {}", chain(error));
    // The problems of a configuration have a line each.
    let shown: Vec<String> = text.lines().map(|line| words::line(line, ERROR_CHARS)).collect();
    let text = shown.join("\n");
    let lines = if is_journal() { with_priority(Level::Error, &text) } else { format!("{text}\n") };
    stderr::write(lines);
}

/// Whether standard error is the journal: systemd says in `$JOURNAL_STREAM` which device and inode
/// its socket has, since a child with another standard error inherits the variable too.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Makes each message one harmless line of bounded length.
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
        let text = words::line(&record.args().to_string(), LINE_CHARS);
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
    use std::sync::Mutex;

    use super::*;

    /// What is written of these lines, each with its level and target, where the limit is trace.
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
