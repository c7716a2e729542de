//! Writes standard error on its own thread.
//!
//! Standard error may be a closed pipe, a suspended terminal (Ctrl-S), a stalled journal or a file on a full disk. None
//! of these may block or end the agent. A text that cannot be written is dropped; while [`LOG_LINES`] texts wait, further
//! texts are dropped and their number is logged.
//!
//! Does not: format; `logger` does.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// The most lines that wait for standard error. At level trace, a busy second has about 300 lines.
pub const LOG_LINES: usize = 1024;

/// The longest time that the end of the program waits for lines to be written.
const FLUSH_TIME: Duration = Duration::from_millis(200);
/// The pause between two attempts to write to a full queue.
const TURN: Duration = Duration::from_millis(5);

/// The writer of this process; `None` if its thread could not be started.
static STDERR: OnceLock<Option<Texts>> = OnceLock::new();

/// Queues `text` for standard error. Never waits.
pub(super) fn write(text: String) {
    match STDERR.get_or_init(|| Texts::start(io::stderr()).ok()) {
        Some(texts) => texts.write(text),
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Waits when it is dropped until everything is written, for a short time. Keep it in `main`.
#[derive(Debug)]
pub struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        flush();
    }
}

/// Waits until everything is written, at most [`FLUSH_TIME`].
pub(super) fn flush() {
    if let Some(Some(texts)) = STDERR.get() {
        texts.flush(FLUSH_TIME);
    }
}

/// The sender to the writing thread.
#[derive(Debug)]
struct Texts {
    queue: SyncSender<LogMessage>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum LogMessage {
    Text(String),
    /// A request to confirm that everything before it is written.
    Flush(SyncSender<()>),
}

impl Texts {
    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, messages) = mpsc::sync_channel(LOG_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new().name("log".into()).spawn(move || run(&messages, &counted, out))?;
        Ok(Self { queue, lost })
    }

    fn write(&self, text: String) {
        if self.queue.try_send(LogMessage::Text(text)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self, limit: Duration) {
        let by = Instant::now() + limit;
        let (done, flushed) = mpsc::sync_channel(1);
        let mut message = LogMessage::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            if Instant::now() >= by {
                return;
            }
            message = back;
            thread::sleep(TURN);
        }
        let _ = flushed.recv_timeout(by.saturating_duration_since(Instant::now()));
    }
}

fn run(messages: &Receiver<LogMessage>, lost: &AtomicU64, mut out: impl Write) {
    for message in messages {
        match message {
            LogMessage::Text(text) => {
                let _ = out.write_all(text.as_bytes());
                let count = lost.swap(0, Ordering::Relaxed);
                if count > 0 {
                    log::warn!("{count} lines of this log are lost: standard error was not read");
                }
            }
            LogMessage::Flush(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Keeps what is written, once its gate is open.
    #[derive(Clone)]
    struct Gated {
        gate: Arc<Mutex<()>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Gated {
        fn new() -> Self {
            Self { gate: Arc::default(), written: Arc::default() }
        }
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.gate.lock().unwrap());
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flush_waits_for_every_text_in_its_order() {
        let out = Gated::new();
        let texts = Texts::start(out.clone()).unwrap();
        (0..LOG_LINES).for_each(|n| texts.write(format!("{n}\n")));
        texts.flush(LIMIT);
        let expected: String = (0..LOG_LINES).map(|n| format!("{n}\n")).collect();
        assert_eq!(*out.written.lock().unwrap(), expected.as_bytes());
    }

    #[test]
    fn a_stalled_reader_loses_lines_and_delays_no_caller() {
        let out = Gated::new();
        let texts = Texts::start(out.clone()).unwrap();
        let stalled = out.gate.lock().unwrap();
        (0..2 * LOG_LINES).for_each(|_| texts.write("x".to_owned()));
        // The thread may have taken one text already.
        let lost = texts.lost.load(Ordering::Relaxed) as usize;
        assert!((LOG_LINES - 1..=LOG_LINES).contains(&lost), "{lost}");
        texts.flush(Duration::from_millis(20));
        assert_eq!(*out.written.lock().unwrap(), b"");
        drop(stalled);
        texts.flush(LIMIT);
        assert_eq!(out.written.lock().unwrap().len(), 2 * LOG_LINES - lost);
    }

    #[test]
    fn an_error_of_the_writer_does_not_end_the_thread() {
        struct Broken(Arc<AtomicU64>);

        impl Write for Broken {
            fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
                self.0.fetch_add(1, Ordering::Relaxed);
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let tries = Arc::new(AtomicU64::new(0));
        let texts = Texts::start(Broken(Arc::clone(&tries))).unwrap();
        (0..3).for_each(|_| texts.write("x".to_owned()));
        texts.flush(LIMIT);
        assert_eq!(tries.load(Ordering::Relaxed), 3);
    }
}
