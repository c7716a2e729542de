//! The budgets of a running agent: payments and traffic, by its configuration.
//!
//! Does not: count payments; the signers do.

use std::convert::Infallible;

use tokio::sync::{mpsc, watch};

use crate::agent::{
    Change, Control, Interfaces, Steered, follow_budget, follow_data, local_offset,
};
use crate::config::Config;
use crate::events::Bus;
use crate::status::Status;
use livepeer_gateway::budget::io::{Purse, SPEND_FILE};
use media::io::AccessUnits;

/// The name of the file of traffic in the state directory.
const DATA_FILE: &str = "data";

/// What is counted, with its budgets.
#[derive(Debug)]
pub(super) struct Budgets {
    pub(super) payments: Purse,
    data: Purse,
    interfaces: watch::Sender<Interfaces>,
}

/// The purse of payments of a configuration, with its budget. Make one for the process.
pub(super) fn payments(config: &Config) -> Purse {
    let purse = Purse::in_memory(SPEND_FILE, local_offset);
    purse.set_budget(config.access.budget);
    purse
}

impl Budgets {
    /// The budgets of a configuration, shown in `status`.
    pub(super) fn new(config: &Config, status: &Status) -> Self {
        let (payments, data) = (payments(config), Purse::in_memory(DATA_FILE, local_offset));
        status.payment.set_purse(payments.clone());
        status.data.set(data.clone());
        let budgets = Self { payments, data, interfaces: watch::Sender::default() };
        budgets.apply(config);
        let has_budget = config.access.budget.is_some() || config.data.is_some();
        if has_budget && config.state_directory.is_none() {
            log::warn!(
                "budgets are counted in memory only, so a restart begins them again: set state.directory"
            );
        }
        budgets
    }

    /// Applies a configuration. What was spent in the present periods counts.
    pub(super) fn apply(&self, config: &Config) {
        self.payments.set_budget(config.access.budget);
        if let Some(state) = config.state_directory.as_ref().filter(|_| config.data.is_some()) {
            self.data.keep_in(state);
        }
        self.data.set_budget(config.data);
        let is_new = |old: &mut Interfaces| {
            let is_new = *old != config.interfaces;
            old.clone_from(&config.interfaces);
            is_new
        };
        self.interfaces.send_if_modified(is_new);
    }

    /// The purses of payments and of traffic.
    pub(super) fn purses(&self) -> [Purse; 2] {
        [self.payments.clone(), self.data.clone()]
    }

    /// Follows the budgets: publishes what becomes of them, and forbids jobs while one is spent. Ends only with the
    /// agent, whose `changes` these are.
    pub(super) async fn follow(
        &self,
        changes: mpsc::Sender<Change>,
        status: Status,
        bus: Bus,
        units: AccessUnits,
    ) -> Infallible {
        let control = Control::new(changes.clone());
        let steered = Steered { control: &control, changes: &changes, bus: &bus, units: &units };
        let mut interfaces = self.interfaces.subscribe();
        // Before the clock is confirmed, the period of the last run goes on, which may be spent.
        self.payments.refresh().await;
        self.data.refresh().await;
        tokio::select! {
            never = follow_budget(&self.payments, &status.payment, &control, &bus) => never,
            never = follow_data(&self.data, &mut interfaces, steered) => never,
            never = self.payments.run() => never,
            never = self.data.run() => never,
        }
    }

    /// Writes what is not written yet. Call it at the end of the program.
    pub(super) async fn close(&self) {
        self.payments.close().await;
        self.data.close().await;
    }
}
