//! The fault table: what goes wrong in the field, what must be seen then, and what was seen of the built program.
//!
//! `cargo test --release --test faults -- --nocapture` plays it against orchestrators on this machine and prints
//! it; words behind choose rows. Everything is seen from outside: what orchestrators received, what the program
//! says, what its process holds, how it ends.
//!
//! Does not: run with the other tests, for it takes minutes; failure on real links is in `links`.
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
