//! The program: arguments, configuration, logger, runtime, command, exit code.
//!
//! Does not: hold logic; the commands do.

fn main() {}
