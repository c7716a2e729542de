//! Runs the rows of a table, several at a time, and prints their measurements.
//!
//! Arguments choose rows by parts of their names. `LONG=1` includes the rows that take ten minutes; `ROWS=n` runs n
//! rows at a time. A row fails if the computer lacks something, or if it has no measurement.
//!
//! Does not: contain rows.

use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use super::scene::{Scene, Verdict};

/// The default number of rows at a time. Rows mostly wait, so several at a time hardly affect each other.
const ROWS_AT_ONCE: usize = 4;

/// A fault, the required reaction, and the function that causes the fault.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The fault.
    pub(crate) fault: &'static str,
    /// The required reaction.
    pub(crate) must: &'static str,
    /// The approximate duration of the row in seconds; long rows start first.
    pub(crate) seconds: u32,
    /// Causes the fault and measures the reaction.
    pub(crate) play: fn(&mut Scene),
}

/// The maximum duration of a row without `LONG=1`, in seconds.
const LONGEST: u32 = 200;

/// Runs `rows` and prints them as a table. Returns whether all passed. Logs are written below `logs`.
pub(crate) fn play(title: &str, rows: &[Row], logs: &str) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let is_long = std::env::var("LONG").is_ok_and(|long| long == "1");
    let at_once = std::env::var("ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROWS_AT_ONCE);
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(logs);
    let wanted = |row: &Row| match words.as_slice() {
        [] => is_long || row.seconds <= LONGEST,
        words => words.iter().any(|word| row.fault.contains(word.as_str())),
    };
    let is_part = |word: &&String| rows.iter().any(|row| row.fault.contains(word.as_str()));
    if let Some(unknown) = words.iter().find(|word| !is_part(word)) {
        println!("{title}: no row has `{unknown}` in its name; the rows are:");
        rows.iter().for_each(|row| println!("  {}", row.fault));
        return ExitCode::from(2);
    }
    let mut order: Vec<usize> = (0..rows.len()).filter(|&at| wanted(&rows[at])).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(rows[at].seconds));
    println!(
        "{title}: {} of {} rows, {at_once} at a time; logs in {}",
        order.len(),
        rows.len(),
        logs.display()
    );
    let began = Instant::now();
    let queue = Mutex::new(VecDeque::from(order));
    let done: Mutex<Vec<(usize, Verdict)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let Some(at) = queue.lock().unwrap().pop_front() else { return };
                    let verdict = play_one(&rows[at], &logs);
                    println!("{} {}: {}", word(&verdict), rows[at].fault, text(&verdict));
                    done.lock().unwrap().push((at, verdict));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    println!("\n| fault | what must be seen | measured | pass |\n|---|---|---|---|");
    for (at, verdict) in &done {
        let Row { fault, must, .. } = &rows[*at];
        println!("| {fault} | {must} | {} | {} |", text(verdict), word(verdict));
    }
    let failed = done.iter().filter(|(_, verdict)| !verdict.passes()).count();
    println!(
        "\n{} rows in {} s: {} passed, {failed} failed",
        done.len(),
        began.elapsed().as_secs(),
        done.len() - failed
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one row; a panic is a failure.
fn play_one(row: &Row, logs: &Path) -> Verdict {
    let played = thread::scope(|scope| {
        let row = scope.spawn(|| {
            let mut scene = Scene::new(row.fault, logs);
            (row.play)(&mut scene);
            scene.verdict()
        });
        row.join()
    });
    played.unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
        let why = why.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        Verdict { seen: vec![(format!("broke off: {why}"), false)] }
    })
}

impl Verdict {
    fn passes(&self) -> bool {
        !self.seen.is_empty() && self.seen.iter().all(|(_, is_so)| *is_so)
    }
}

fn word(verdict: &Verdict) -> &'static str {
    if verdict.passes() { "yes" } else { "NO" }
}

fn text(verdict: &Verdict) -> String {
    let mark = |(text, is_so): &(String, bool)| match is_so {
        true => text.clone(),
        false => format!("**{text}**"),
    };
    let seen: Vec<String> = verdict.seen.iter().map(mark).collect();
    if seen.is_empty() { "**nothing was seen**".to_owned() } else { seen.join("; ") }
}
