//! Counts every amount before it is released, on disk, and refuses one when the budget is spent.
//!
//! ```text
//! admit() ──▶ the signer signs ──▶ Admission::spend() ──▶ written, or below the reserve ──▶ the payment is sent
//!    └──▶ BudgetUse: spent
//! ```
//!
//! `Signers::payment` is the only function that makes payments, and calls these two: for the start of a job, a running
//! job and a single call. With a budget, one payment is admitted at a time, so the budget is exceeded by one payment at
//! most. A payment that the signer made and that was not counted, because the
//! process ended between, was not released either: its tickets are worth nothing.
//!
//! Traffic is not admitted, but only counted, by [`Purse::count`].
//!
//! If the file cannot be written, amounts are counted in memory; that is logged.
//!
//! Does not: end a job when the budget is spent; the owner does, who follows [`Purse::level`].

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{OwnedMutexGuard, watch};
use tokio::task::spawn_blocking;

use crate::budget::{Budget, BudgetUse, Level};
use crate::clock::ConfirmedClock;
use crate::clock::io::read_clock;
use resilience::ledger::io::{LedgerFile, OpenError, read};
use resilience::ledger::{Entry, Item, Ledger, LocalTime, Period, Recorded, Stamp};

/// The name of the file of payments in the state directory.
pub const SPEND_FILE: &str = "spend";
/// How often a reserve that is not needed is given up, and the period is looked at.
pub(crate) const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// The local zone's offset in seconds east of Greenwich, at a time since 1970.
pub type Offset = fn(Duration) -> i32;

/// What was spent of one unit, and the budget. Clones share one purse; use one for the whole process.
#[derive(Debug, Clone)]
pub struct Purse(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The name of the file.
    name: &'static str,
    books: Mutex<Books>,
    /// Locked while an amount is counted and written, so that lines are in the order of the counts.
    file: Arc<tokio::sync::Mutex<Option<LedgerFile>>>,
    /// Locked from the admission of a payment until it is counted.
    turn: Arc<tokio::sync::Mutex<()>>,
    level: watch::Sender<Level>,
}

#[derive(Debug)]
struct Books {
    ledger: Ledger,
    clock: ConfirmedClock,
    offset: Offset,
    budget: Option<Budget>,
    /// The directory was opened, or could not be.
    is_kept: bool,
    /// The file, until it is first written.
    opened: Option<LedgerFile>,
    is_failing: bool,
}

impl Default for Purse {
    /// A purse in memory, without a budget, by UTC.
    fn default() -> Self {
        Self::in_memory(SPEND_FILE, |_| 0)
    }
}

impl Purse {
    /// A purse in memory: a restart begins it again, unless it is [kept](Purse::keep_in), in a file of this name. Its
    /// periods are those of the zone with this offset.
    pub fn in_memory(name: &'static str, offset: Offset) -> Self {
        let books = Books {
            ledger: Ledger::default(),
            clock: ConfirmedClock::default(),
            offset,
            budget: None,
            is_kept: false,
            opened: None,
            is_failing: false,
        };
        Self(Arc::new(Shared {
            name,
            books: Mutex::new(books),
            file: Arc::default(),
            turn: Arc::default(),
            level: watch::Sender::new(Level::Free),
        }))
    }

    /// Keeps the purse in the directory `state` from now on, and counts what was paid before. Call it before the first
    /// payment; further calls do nothing. If the file cannot be used, that is logged, and the purse stays in memory. If
    /// another process uses the file, what that has counted so far counts here too. Blocks for the time of a write.
    pub fn keep_in(&self, state: &Path) {
        let mut books = self.books();
        if std::mem::replace(&mut books.is_kept, true) {
            return;
        }
        let path = state.join(self.0.name);
        let (mut file, content) = match LedgerFile::open(&path) {
            Ok((file, content)) => (Some(file), content),
            Err(OpenError::InUse) => {
                log::warn!(
                    "{}: another agent uses this file; what is spent is counted in memory only: set state.directory",
                    path.display()
                );
                (None, read(&path).unwrap_or_default())
            }
            Err(OpenError::Io(error)) => {
                log::warn!("{}: {error}; what is spent is counted in memory only", path.display());
                (None, String::new())
            }
        };
        let (ledger, malformed) = Ledger::parse(&content);
        if malformed > 0 {
            log::warn!("{}: {malformed} malformed lines are not counted", path.display());
        }
        books.ledger = ledger;
        if let Some(file) = &mut file {
            // The end of the file may be torn, and an append would continue that line.
            let stamp = books.stamp();
            let write = books.ledger.rewrite(stamp);
            let is_kept = file.write(&write).is_ok();
            books.ledger.on_written(is_kept, Instant::now());
        }
        books.opened = file;
        drop(books);
        self.update_level();
    }

    /// Sets the budget; `None` for no limit. What was spent in the present period counts.
    pub fn set_budget(&self, budget: Option<Budget>) {
        self.books().budget = budget;
        self.update_level();
    }

    /// Adds `amount` to the limit of the present period. It is on disk when this returns. Returns `None` without a
    /// budget.
    pub async fn add(&self, amount: u128) -> Option<BudgetUse> {
        self.confirm_clock().await;
        self.budget_use()?;
        self.change(move |ledger, stamp, _| ledger.add(amount, stamp)).await;
        self.update_level();
        self.budget_use()
    }

    /// How much of the budget is spent; [`Level::Free`] without one.
    pub fn level(&self) -> watch::Receiver<Level> {
        self.0.level.subscribe()
    }

    /// The budget and what is spent of it; `None` without one.
    pub fn budget_use(&self) -> Option<BudgetUse> {
        self.books().budget_use()
    }

    /// What was spent for each item in the present `period`.
    pub fn spent(&self, period: Period) -> Vec<Entry> {
        let mut books = self.books();
        let stamp = books.stamp();
        books.ledger.by_item(period, stamp)
    }

    /// Reads the clock if it has to be confirmed, and notices the next period.
    pub async fn refresh(&self) {
        self.confirm_clock().await;
        self.update_level();
    }

    /// Gives up reserves that are not needed, and notices the next period; never returns. Cancel safe.
    pub async fn run(&self) -> Infallible {
        loop {
            self.refresh().await;
            self.change(|ledger, stamp, now| ledger.settle(stamp, now)).await;
            let used = self.budget_use();
            let next = used.and_then(|used| Some(used.now?.until_next(used.budget.period)));
            // A second later, the clock shows the next period for certain.
            let next = next.map_or(SETTLE_EVERY, |next| next + Duration::from_secs(1));
            tokio::time::sleep(next.min(SETTLE_EVERY)).await;
        }
    }

    /// Writes what is not written yet. Call it at the end of the program: after it, nothing is reserved.
    pub async fn close(&self) {
        self.change(|ledger, stamp, _| ledger.close(stamp)).await;
    }

    /// Counts an amount that was spent already, and needs no admission.
    pub async fn count(&self, item: Item, amount: u128) {
        self.confirm_clock().await;
        self.record(item, amount).await;
    }

    async fn record(&self, item: Item, amount: u128) {
        let left = self.budget_use().map(|used| used.left());
        self.change(move |ledger, stamp, now| ledger.record(item, amount, left, (stamp, now)))
            .await;
        self.update_level();
    }

    /// Waits until no other payment is being made, and fails if the budget is spent. Without a budget, payments do not
    /// wait for each other.
    pub(crate) async fn admit(&self) -> Result<Admission, BudgetUse> {
        self.confirm_clock().await;
        if self.books().budget.is_none() {
            return Ok(Admission { purse: self.clone(), turn: None });
        }
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        self.update_level();
        match self.budget_use().filter(|used| used.level() == Level::Spent) {
            Some(used) => Err(used),
            None => Ok(Admission { purse: self.clone(), turn: Some(turn) }),
        }
    }

    /// Reads the clock if it has to be confirmed.
    async fn confirm_clock(&self) {
        let is_needed = self.books().clock.needs_reading(SystemTime::now(), Instant::now());
        if !is_needed {
            return;
        }
        // It fails only if the thread panics.
        if let Ok(reading) = spawn_blocking(read_clock).await {
            self.books().clock.on_reading(reading, Instant::now());
        }
    }

    /// Changes the ledger and carries out the write that it asks for. Once begun, it ends also if the caller is dropped.
    async fn change(
        &self,
        change: impl FnOnce(&mut Ledger, Stamp, Instant) -> Recorded + Send + 'static,
    ) {
        let (purse, mut file) = (self.clone(), Arc::clone(&self.0.file).lock_owned().await);
        let done = spawn_blocking(move || {
            let write = {
                let mut books = purse.books();
                let stamp = books.stamp();
                change(&mut books.ledger, stamp, Instant::now())
            };
            purse.write(&mut file, write);
        });
        // It fails only if the thread panics.
        let _ = done.await;
    }

    fn write(&self, file: &mut OwnedMutexGuard<Option<LedgerFile>>, write: Recorded) {
        if write == Recorded::Covered {
            return;
        }
        if let Some(opened) = self.books().opened.take() {
            **file = Some(opened);
        }
        let written = file.as_mut().map_or(Ok(()), |file| file.write(&write));
        let mut books = self.books();
        books.ledger.on_written(written.is_ok(), Instant::now());
        let was_failing = std::mem::replace(&mut books.is_failing, written.is_err());
        match written {
            Err(error) if !was_failing => log::warn!(
                "{} in the state directory cannot be written ({error}); what is spent is counted in memory until it can",
                self.0.name
            ),
            Ok(()) if was_failing => log::info!("{}: written again", self.0.name),
            Ok(()) | Err(_) => {}
        }
    }

    fn update_level(&self) {
        let level = self.budget_use().map_or(Level::Free, |used| used.level());
        self.0.level.send_if_modified(|old| std::mem::replace(old, level) != level);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// The confirmed local time, and the time to count at.
    fn time(&mut self) -> (Option<LocalTime>, Stamp) {
        let wall = SystemTime::now();
        let offset = self.offset;
        let local = |time: SystemTime| {
            let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            LocalTime::new(since_1970, offset(since_1970))
        };
        let confirmed = self.clock.time(wall, Instant::now()).map(local);
        let stamp = self.ledger.time(confirmed.map(LocalTime::stamp), local(wall).stamp());
        (confirmed, stamp)
    }

    fn stamp(&mut self) -> Stamp {
        self.time().1
    }

    fn budget_use(&mut self) -> Option<BudgetUse> {
        let budget = self.budget?;
        let (now, stamp) = self.time();
        let spent = self.ledger.spent(budget.period, stamp);
        let added = self.ledger.added(budget.period, stamp);
        Some(BudgetUse { budget, spent, added, now })
    }
}

/// The permission for one payment. Dropped without [`Admission::spend`], nothing counts.
#[derive(Debug)]
pub(crate) struct Admission {
    purse: Purse,
    /// Held while no other payment may be admitted; `None` without a budget.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Admission {
    /// Whether there is a budget.
    pub(crate) fn is_limited(&self) -> bool {
        self.turn.is_some()
    }

    /// Counts a payment that the signer has made. Release it when this returns.
    pub(crate) async fn spend(self, item: Item, amount: u128) {
        self.purse.record(item, amount).await;
    }
}
