//! Records a test that this computer cannot run, so that it is counted as skipped and not as passed.
//!
//! With the standard test harness, a test cannot mark itself as skipped. Instead, the test writes its name and a reason
//! to the file that the environment variable `SKIPPED` names. `cross/test.sh` prints this file, and subtracts the
//! number of its lines from the number of passed tests.
//!
//! Does not: cover programs that `cross/setup.sh` installs; a test that lacks such a program must fail.

use std::fs::OpenOptions;
use std::io::Write;

/// Records that the test of this thread is skipped, with the reason. The test must return right after this call.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    // This bypasses `eprintln!`, whose output the test harness hides if the test passes.
    let _ = write!(std::io::stderr(), "skipped: {line}");
    if let Some(list) = std::env::var_os("SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(list);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "the list of skipped tests cannot be written: {written:?}");
    }
}
