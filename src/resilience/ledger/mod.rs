//! Counts what is spent (wei, bytes) against a limit per period of the local calendar, and survives power cuts.
//!
//! ```text
//!   admit? ──▶ spend ──▶ record(amount) ─┬─▶ covered by the reserve ──────────▶ release
//!                                        └─▶ write a line: amounts + reserve ─▶ release
//! ```
//!
//! Nothing is released before it is on the disk, as a counted amount or below the reserve of the last line. A reserve
//! covers about two minutes, so that a steady rate needs one line a minute. After a crash, the reserve of the last line
//! counts as spent, because up to that amount may have been. So what is counted is never less than what was spent.
//!
//! | the clock | the period |
//! |---|---|
//! | confirmed | its own; amounts with a later time count too, so a clock that jumps forward and back refills nothing |
//! | not confirmed | that of the newest amount: no new period begins |
//!
//! Does not: know what the amounts are, read the clock, or wait.

mod book;
pub mod io;
mod line;
mod period;

pub use book::{Entry, Item, Ledger, Recorded, Total};
pub use period::{LocalTime, Period, Stamp};
