//! Asks a running agent for its status each second, and checks every report against the schema.
//!
//! Does not: check the values in a report against the state of the agent; the rows do.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::schema::violations;

/// The time between two reports.
const EVERY: Duration = Duration::from_secs(1);

/// The reports of all agents of a row.
#[derive(Default)]
pub(crate) struct Reports(Arc<Mutex<Checked>>);

#[derive(Default)]
struct Checked {
    count: u64,
    /// The first violation of the schema.
    wrong: Option<String>,
}

impl Reports {
    /// Checks the reports of an agent of the row `slug` as long as the row runs. Returns the path of a Unix socket:
    /// start the agent so that its API listens there.
    pub(super) fn watch(&self, slug: &str) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (id, nth) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // The path of a Unix socket must be short.
        let socket = std::env::temp_dir().join(format!("{slug:.40}-{id}-{nth}.sock"));
        let (checked, at) = (Arc::downgrade(&self.0), socket.clone());
        thread::spawn(move || watch(&checked, &at));
        socket
    }

    /// The number of reports, and the first violation of the schema.
    pub(super) fn checked(&self) -> (u64, Option<String>) {
        let checked = self.0.lock().unwrap();
        (checked.count, checked.wrong.clone())
    }
}

fn watch(checked: &Weak<Mutex<Checked>>, socket: &Path) {
    loop {
        thread::sleep(EVERY);
        let report = ask(socket);
        let Some(checked) = checked.upgrade() else { break };
        // An agent that starts, hangs or has ended does not answer.
        let Some(report) = report else { continue };
        let mut wrong = violations(&report);
        let is_ready = report["ready"] == true;
        let links = report["chain"].as_array().into_iter().flatten().take(6);
        if is_ready != links.clone().all(|link| link["state"] == "ok") {
            wrong.push(format!("ready is {is_ready}: {}", report["chain"]));
        }
        let mut checked = checked.lock().unwrap();
        checked.count += 1;
        checked.wrong = checked.wrong.take().or(wrong.into_iter().next());
    }
    let _ = std::fs::remove_file(socket);
}

/// The report of the agent at this socket, if it answers.
fn ask(socket: &Path) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let report = serde_json::from_str(body).ok();
    head.starts_with("HTTP/1.1 200 ").then_some(report).flatten()
}
