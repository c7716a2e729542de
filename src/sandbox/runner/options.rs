//! How a runner of a sandbox is set up.
//!
//! Does not: say what its app does to video; the app is the echo app.

use std::time::Duration;

use livepeer_gateway::orchestrator::proto::PriceInfo;
use livepeer_gateway::price::Unit;

/// A runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerOptions {
    /// The name of its app.
    pub app: String,
    /// What it answers if it is `single-shot`; `None` for a `persistent` one.
    pub shot: Option<SingleShot>,
    /// The path that a single-shot app serves, without the slash before it; nothing for its root.
    pub path: String,
    /// What it costs, in wei per unit; `None` is free.
    pub price: Option<(Unit, u32)>,
    /// Sessions at a time; more are refused with 503.
    pub capacity: u32,
    /// The name of its GPU.
    pub gpu: Option<String>,
}

/// What a single-shot runner answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SingleShot {
    /// JSON: `{"echo": …}` with what came, or a text of it where that is no JSON.
    Plain,
    /// Server-sent events.
    Events {
        /// How many.
        count: u32,
        /// Before each of them.
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
    /// What it costs.
    pub(crate) fn price(&self) -> Option<(Unit, PriceInfo)> {
        let (unit, wei) = self.price.filter(|(_, wei)| *wei > 0)?;
        let price = PriceInfo {
            price_per_unit: i64::from(wei),
            pixels_per_unit: 1,
            ..PriceInfo::default()
        };
        Some((unit, price))
    }

    /// Its mode on the wire.
    pub(crate) fn mode(&self) -> &'static str {
        if self.shot.is_some() { "single-shot" } else { "persistent" }
    }
}
