//! The orchestrator's ledger: the payments and debits of each job, and the refused calls.
//!
//! Bounded: the oldest closed accounts, nonces and refusals are dropped first.
//!
//! Does not: close channels; `world` does, for the jobs that [`Ledger::debit`] returns.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::Endpoint;
use crate::money::Rate;
use livepeer_gateway::orchestrator::proto::PriceInfo;
use livepeer_gateway::price::PriceUnit;

/// Maximum number of accounts that are kept.
const ACCOUNTS: usize = 128;
/// Maximum number of ticket parameters whose nonces are kept.
const PARAMS: usize = 4096;
/// Maximum number of nonces for the same ticket parameters (go-livepeer `pm/recipient.go:26`).
const NONCES: usize = 600;
/// Maximum number of refused calls that are kept.
const REFUSED: usize = 100;

/// The payments and debits of one job or session.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The manifest id of the job or session.
    pub(crate) manifest: String,
    /// Whether the job or session runs.
    pub is_open: bool,
    /// The number of payments with tickets.
    pub payments: u64,
    /// The value of all payments, in wei.
    pub(crate) paid: u128,
    /// The number of debits.
    pub(crate) debits: u64,
    /// The sum of all debits, in wei.
    pub(crate) debited: u128,
    /// Whether the job or session was ended because its balance did not cover a debit.
    pub is_unpaid: bool,
    /// The price at its start.
    pub(crate) price: Option<(PriceUnit, PriceInfo)>,
    rate: Option<Rate>,
    debited_until: Duration,
    /// Whether media arrived since the last debit; `None` if time is debited even without media.
    moved: Option<bool>,
}

impl Account {
    /// The balance, in wei.
    pub(crate) fn balance(&self) -> u128 {
        self.paid.saturating_sub(self.debited)
    }

    /// The time covered by all payments; zero before the job begins, and for a fixed price.
    pub fn time_paid(&self) -> Duration {
        self.rate.map(|rate| rate.time(self.paid)).unwrap_or_default()
    }

    /// The debited time.
    pub fn time_debited(&self) -> Duration {
        self.rate.map(|rate| rate.time(self.debited)).unwrap_or_default()
    }
}

/// A refused call. Calls that a scripted failure refuses are not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCall {
    /// The endpoint called.
    pub endpoint: Endpoint,
    /// The status of the answer.
    pub status: u16,
    /// The reason in the answer.
    pub reason: String,
}

/// The accounts of all jobs and sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    accounts: Vec<Account>,
    refused: VecDeque<RefusedCall>,
    /// Ticket parameters and their used nonces.
    nonces: VecDeque<(Vec<u8>, BTreeSet<u32>)>,
}

impl Ledger {
    /// The account of a job or session.
    pub fn account(&self, manifest: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.manifest == manifest)
    }

    /// The number of payments with tickets, of all accounts.
    pub fn payments(&self) -> u64 {
        self.accounts.iter().map(|account| account.payments).sum()
    }

    /// The value of all payments in wei, of all accounts.
    pub fn paid(&self) -> u128 {
        self.accounts.iter().map(|account| account.paid).sum()
    }

    /// The number of debits, of all accounts.
    pub fn debits(&self) -> u64 {
        self.accounts.iter().map(|account| account.debits).sum()
    }

    /// The time covered by the payments of all accounts.
    pub fn time_paid(&self) -> Duration {
        self.accounts.iter().map(Account::time_paid).sum()
    }

    /// The number of running paid jobs and sessions.
    pub fn open(&self) -> usize {
        self.accounts.iter().filter(|account| account.is_open).count()
    }

    /// The last refused calls, oldest first; at most 100.
    pub fn refused(&self) -> impl Iterator<Item = &RefusedCall> {
        self.refused.iter()
    }

    pub(crate) fn refuse(&mut self, endpoint: Endpoint, status: u16, reason: &str) {
        if self.refused.len() == REFUSED {
            self.refused.pop_front();
        }
        self.refused.push_back(RefusedCall { endpoint, status, reason: reason.to_owned() });
    }

    /// Marks the nonce of a ticket as used. Fails if it was used before, or too many nonces were used with the same
    /// parameters (go-livepeer `pm/recipient.go:369`).
    pub(crate) fn take_nonce(&mut self, rand_hash: &[u8], nonce: u32) -> Result<(), String> {
        let refused = |reason| Err(format!("invalid ticket senderNonce: {reason} nonce={nonce}"));
        if let Some((_, seen)) = self.nonces.iter_mut().find(|(hash, _)| hash == rand_hash) {
            if seen.contains(&nonce) {
                return refused("already seen");
            }
            if seen.len() >= NONCES {
                return refused("too many values");
            }
            seen.insert(nonce);
            return Ok(());
        }
        if self.nonces.len() == PARAMS {
            self.nonces.pop_front();
        }
        self.nonces.push_back((rand_hash.to_vec(), BTreeSet::from([nonce])));
        Ok(())
    }

    /// Books a payment.
    pub(crate) fn credit(&mut self, manifest: &str, wei: u128) {
        if wei > 0 {
            let account = self.at(manifest);
            account.paid = account.paid.saturating_add(wei);
            account.payments += 1;
        }
    }

    /// The balance of an account, in wei.
    pub(crate) fn balance(&self, manifest: &str) -> u128 {
        self.account(manifest).map(Account::balance).unwrap_or_default()
    }

    /// Begins to debit a job: `price` per `unit` from `now` on. With `while_moving`, time is debited only when media has
    /// arrived since the last debit.
    pub(crate) fn begin(
        &mut self,
        manifest: &str,
        (unit, price): (PriceUnit, &PriceInfo),
        while_moving: bool,
        now: Duration,
    ) {
        let account = self.at(manifest);
        account.is_open = true;
        account.price = Some((unit, price.clone()));
        account.rate = Rate::of(unit, price);
        account.debited_until = now;
        account.moved = while_moving.then_some(false);
    }

    /// Call when media of a job arrives.
    pub(crate) fn moved(&mut self, manifest: &str) {
        let account = self.accounts.iter_mut().find(|account| account.manifest == manifest);
        if let Some(moved) = account.and_then(|account| account.moved.as_mut()) {
            *moved = true;
        }
    }

    /// Call when a job or session has ended.
    pub(crate) fn end(&mut self, manifest: &str) {
        if let Some(account) = self.accounts.iter_mut().find(|a| a.manifest == manifest) {
            account.is_open = false;
        }
    }

    /// Debits every open account whose last debit was at least `every` ago. Returns the manifest ids whose balance did
    /// not cover the debit; the caller must end their jobs.
    pub(crate) fn debit(&mut self, now: Duration, every: Duration) -> Vec<String> {
        let mut unpaid = Vec::new();
        for account in self.accounts.iter_mut().filter(|account| account.is_open) {
            let Some(rate) = account.rate else { continue };
            let time = now.saturating_sub(account.debited_until);
            if time < every || account.moved == Some(false) {
                continue;
            }
            let fee = rate.wei(time);
            if fee > account.balance() {
                account.is_open = false;
                account.is_unpaid = true;
                unpaid.push(account.manifest.clone());
                continue;
            }
            account.debited += fee;
            account.debits += 1;
            account.debited_until = now;
            account.moved = account.moved.map(|_| false);
        }
        unpaid
    }

    fn at(&mut self, manifest: &str) -> &mut Account {
        let found = self.accounts.iter().position(|account| account.manifest == manifest);
        let at = found.unwrap_or_else(|| {
            if self.accounts.len() >= ACCOUNTS {
                let closed = self.accounts.iter().position(|account| !account.is_open);
                self.accounts.remove(closed.unwrap_or_default());
            }
            self.accounts.push(Account::new(manifest));
            self.accounts.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or just pushed")]
        &mut self.accounts[at]
    }
}

impl Account {
    fn new(manifest: &str) -> Self {
        Self {
            manifest: manifest.to_owned(),
            is_open: false,
            payments: 0,
            paid: 0,
            debits: 0,
            debited: 0,
            is_unpaid: false,
            price: None,
            rate: None,
            debited_until: Duration::ZERO,
            moved: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Begins at 2 wei per second.
    fn begin(ledger: &mut Ledger, manifest: &str, while_moving: bool, at: u64) {
        let price = PriceInfo { price_per_unit: 2, pixels_per_unit: 1, ..PriceInfo::default() };
        ledger.begin(manifest, (PriceUnit::Seconds, &price), while_moving, seconds(at));
    }

    #[test]
    fn time_is_debited_until_the_balance_is_used_up() {
        let mut ledger = Ledger::default();
        ledger.credit("m", 20);
        begin(&mut ledger, "m", false, 100);
        assert_eq!(ledger.debit(seconds(104), EVERY), [""; 0]);
        assert_eq!(ledger.debits(), 0, "too early");
        assert_eq!(ledger.debit(seconds(106), EVERY), [""; 0]);
        assert_eq!((ledger.balance("m"), ledger.debits()), (8, 1));
        ledger.credit("m", 2);
        assert_eq!(ledger.debit(seconds(111), EVERY), [""; 0]);
        assert_eq!((ledger.balance("m"), ledger.open()), (0, 1));
        assert_eq!(ledger.debit(seconds(116), EVERY), ["m"]);
        let account = ledger.account("m").unwrap();
        assert!(account.is_unpaid && !account.is_open);
        assert_eq!((account.time_paid(), account.time_debited()), (seconds(11), seconds(11)));
        assert_eq!(ledger.debit(seconds(999), EVERY), [""; 0], "once");
    }

    #[test]
    fn time_without_media_is_debited_once_media_arrives() {
        let mut ledger = Ledger::default();
        begin(&mut ledger, "m", true, 100);
        assert_eq!(ledger.debit(seconds(200), EVERY), [""; 0]);
        ledger.moved("m");
        ledger.moved("other");
        ledger.credit("m", 210);
        assert_eq!(ledger.debit(seconds(205), EVERY), [""; 0]);
        assert_eq!(ledger.balance("m"), 0, "the debit includes the time without media");
        assert_eq!(ledger.debit(seconds(300), EVERY), [""; 0]);
        ledger.moved("m");
        assert_eq!(ledger.debit(seconds(300), EVERY), ["m"]);
    }

    #[test]
    fn ended_jobs_and_single_payments_are_not_debited() {
        let mut ledger = Ledger::default();
        begin(&mut ledger, "ended", false, 0);
        ledger.end("ended");
        let fixed = (PriceUnit::Fixed, &PriceInfo::default());
        ledger.begin("once", fixed, false, seconds(0));
        assert_eq!(ledger.debit(seconds(999), EVERY), [""; 0]);
        assert_eq!((ledger.open(), ledger.debits()), (1, 0));
    }

    #[test]
    fn a_nonce_is_accepted_once_and_six_hundred_per_ticket_parameters() {
        let mut ledger = Ledger::default();
        let seen = |nonce| Err(format!("invalid ticket senderNonce: already seen nonce={nonce}"));
        for nonce in [1, 3, 2] {
            assert_eq!(ledger.take_nonce(b"a", nonce), Ok(()));
            assert_eq!(ledger.take_nonce(b"a", nonce), seen(nonce));
        }
        for nonce in 4..=600 {
            assert_eq!(ledger.take_nonce(b"a", nonce), Ok(()));
        }
        let full = "invalid ticket senderNonce: too many values nonce=601".to_owned();
        assert_eq!(ledger.take_nonce(b"a", 601), Err(full));
        assert_eq!(ledger.take_nonce(b"a", 7), seen(7));
        assert_eq!(ledger.take_nonce(b"b", 601), Ok(()));
    }

    #[test]
    fn the_ledger_is_bounded() {
        let mut ledger = Ledger::default();
        begin(&mut ledger, "open", false, 0);
        for i in 0..5000_u32 {
            ledger.credit(&i.to_string(), 1);
            ledger.refuse(Endpoint::Payment, 400, "no");
            assert_eq!(ledger.take_nonce(&i.to_be_bytes(), 1), Ok(()));
        }
        assert_eq!((ledger.accounts.len(), ledger.refused().count()), (ACCOUNTS, REFUSED));
        assert_eq!(ledger.nonces.len(), PARAMS);
        assert!(ledger.account("open").is_some());
    }
}
