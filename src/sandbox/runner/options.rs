//! The settings of a runner.
//!
//! Does not: choose an app; every runner has the echo app.

use std::time::Duration;

use livepeer_gateway::orchestrator::proto::PriceInfo;
use livepeer_gateway::price::PriceUnit;

/// The settings of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerOptions {
    /// The announced name of the app.
    pub app: String,
    /// The answer of a `single-shot` runner; `None` makes it `persistent`.
    pub shot: Option<SingleShot>,
    /// The path that a single-shot app serves, without the leading slash; empty for the root.
    pub path: String,
    /// The price in wei per unit; `None` is free.
    pub price: Option<(PriceUnit, u32)>,
    /// Maximum number of sessions at a time; more are refused with 503.
    pub capacity: u32,
    /// The announced name of the GPU.
    pub gpu: Option<String>,
}

/// The answer of a single-shot runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SingleShot {
    /// The JSON `{"echo": …}` with the received body, which is a JSON value, or a string if the body is not JSON.
    Plain,
    /// Server-sent events.
    Events {
        /// The number of events.
        count: u32,
        /// The time before each event.
        gap: Duration,
    },
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            app: "echo".to_owned(),
            shot: None,
            path: String::new(),
            price: None,
            capacity: 1,
            gpu: None,
        }
    }
}

impl RunnerOptions {
    /// The price in the protocol's form; `None` if it is zero.
    pub(crate) fn price(&self) -> Option<(PriceUnit, PriceInfo)> {
        let (unit, wei) = self.price.filter(|(_, wei)| *wei > 0)?;
        let price = PriceInfo {
            price_per_unit: i64::from(wei),
            pixels_per_unit: 1,
            ..PriceInfo::default()
        };
        Some((unit, price))
    }

    /// The mode in the protocol.
    pub(crate) fn mode(&self) -> &'static str {
        if self.shot.is_some() { "single-shot" } else { "persistent" }
    }
}
