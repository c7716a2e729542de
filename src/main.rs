//! The program: arguments, configuration, logger, runtime, command, exit code.

fn main() {}
