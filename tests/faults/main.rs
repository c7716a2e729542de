//! The fault table: failures that happen in the field, each with the required and the measured reaction of the built
//! program.
//!
//! `cargo test --release --test faults -- --nocapture` runs the table against local orchestrators and prints it;
//! arguments after `--` choose rows. All measurements come from outside the program: what orchestrators received, the
//! log, the resources of the process, its exit code.
//!
//! Does not: run with the other tests, since the table takes minutes; failures of real links are in `tests/links`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

#[path = "../attack/mod.rs"]
mod attack;
mod camera;
mod clock;
mod health;
mod machine;
mod orchestrator;
mod peer;
#[path = "../peers/mod.rs"]
mod peers;
#[path = "../rig/mod.rs"]
mod rig;
mod signer;

use std::process::ExitCode;

fn main() -> ExitCode {
    let rows = [
        orchestrator::ROWS,
        health::ROWS,
        signer::ROWS,
        camera::ROWS,
        clock::ROWS,
        machine::ROWS,
        peer::ROWS,
    ]
    .concat();
    rig::table::play("faults", &rows, "faults")
}
