//! Records a test that this machine cannot run, so that it is counted as skipped and not as passed.
//!
//! The standard harness has no test that skips itself while it runs. Such a test writes its name and its reason to
//! the file that `SKIPPED` names; `cross/test.sh` prints the file, and subtracts its lines from the tests that passed.
//!
//! Does not: cover what `cross/setup.sh` can install; a test without it fails.

use std::fs::OpenOptions;
use std::io::Write;

/// Reports that the test of this thread is skipped, and why. The caller returns right after it.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    // Written to standard error directly: the harness hides the output of tests that pass.
    let _ = write!(std::io::stderr(), "skipped: {line}");
    if let Some(list) = std::env::var_os("SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(list);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "the list of skipped tests cannot be written: {written:?}");
    }
}
