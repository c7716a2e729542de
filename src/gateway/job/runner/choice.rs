//! Chooses among the runners of discovery lists.
//!
//! | a runner | is |
//! |---|---|
//! | of another application | not a candidate, and not reported |
//! | of another mode, on another GPU, full, too expensive | rejected, with its reason |
//! | any other | a candidate. Of one orchestrator's runners, those with known free capacity are tried first, then the cheapest; `CandidateOrder::Price` sorts all runners in this way |
//!
//! A runner without a stated mode may be tried: its answer shows whether it can do the job.
//!
//! Does not: make calls, or check URLs: those in the lists have been checked already.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use super::error::RunnerError;
use crate::http::Url;
use crate::orchestrator::{DiscoveryList, Fit, Runner, RunnerMode};
use crate::price::MaxPrice;
use crate::session::selection::{
    CandidateOrder, Offer, OfferRules, PaymentPolicy, Selection, SelectionStep, Suspensions,
};
use resilience::fault::{Failure, Fault};

/// The requirements for a runner.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerOptions {
    /// The name of the application that the runner must run.
    pub app: String,
    /// The name of the GPU that the runner must have; `None` for any.
    pub gpu: Option<String>,
    /// The maximum price; `None` for any.
    pub max_price: Option<MaxPrice>,
}

/// A listed runner of the requested application.
#[derive(Debug, Clone)]
pub struct ListedRunner {
    /// The runner.
    pub runner: Runner,
    /// The runner's offer, or the reason why the runner cannot be used.
    pub offer: Result<Offer, String>,
}

/// Returns the runners of `list` that have the application, usable or not: the best of each orchestrator first, or
/// with `CandidateOrder::Price` the best of the whole list first.
pub fn known_runners(
    list: &DiscoveryList,
    options: &RunnerOptions,
    mode: RunnerMode,
    order: CandidateOrder,
) -> Vec<ListedRunner> {
    let mut known: Vec<ListedRunner> = Vec::new();
    for entry in &list.entries {
        let own = known.len();
        for runner in entry.runners.iter().filter(|runner| runner.app == options.app) {
            let offer = match unfit(runner, options, mode) {
                Some(reason) => Err(reason),
                None => Ok(offer(runner)),
            };
            known.push(ListedRunner { runner: runner.clone(), offer });
        }
        let of_this_one = known.get_mut(own..).unwrap_or_default();
        of_this_one.sort_by(|a, b| better_first(&a.runner, &b.runner));
    }
    if order == CandidateOrder::Price {
        known.sort_by(|a, b| better_first(&a.runner, &b.runner));
    }
    known
}

/// The runners that are still to be tried, and the reasons against the others.
#[derive(Debug)]
pub struct RunnerSelection {
    app: String,
    selection: Selection<Runner>,
    /// All listed runners of the application, the best first.
    known: Vec<ListedRunner>,
    now: Instant,
}

impl RunnerSelection {
    /// Sorts the runners of `list` that run the application in `mode`.
    pub fn new(
        list: &DiscoveryList,
        options: &RunnerOptions,
        mode: RunnerMode,
        order: CandidateOrder,
        now: Instant,
    ) -> Self {
        let known = known_runners(list, options, mode, order);
        let rules = OfferRules { max_price: options.max_price, pays: PaymentPolicy::IfPriced };
        let urls = known.iter().map(|known| known.runner.url.clone());
        // `known` is sorted already.
        let selection =
            Selection::new(rules, CandidateOrder::Listed, urls, &Suspensions::default(), now);
        Self { app: options.app.clone(), selection, known, now }
    }

    /// Returns the best runner that has not been tried. If none is left, `Err` names each one with the reason
    /// against it.
    pub fn best(&mut self) -> Result<Runner, RunnerError> {
        loop {
            match self.selection.step(self.now) {
                SelectionStep::Try(candidate) => return Ok(candidate.answer),
                SelectionStep::None(_) if self.known.is_empty() => {
                    return Err(RunnerError::NoRunner(self.app.clone()));
                }
                SelectionStep::None(none) => return Err(RunnerError::NoCandidateLeft(none)),
                // No call is needed: the list contains the offers.
                SelectionStep::Ask(urls) => urls.iter().for_each(|url| self.answer(url)),
                SelectionStep::Wait(_) => self.selection.on_deadline(),
            }
        }
    }

    /// Call this when `runner` did not take the job; [`RunnerSelection::best`] then returns another one.
    pub fn on_failed(&mut self, runner: &Runner, failure: Failure) {
        self.selection.on_failed(&runner.url, failure);
    }

    fn answer(&mut self, url: &Url) {
        let known = self.known.iter().find(|known| known.runner.url == *url);
        let Some(ListedRunner { runner, offer }) = known else { return };
        match offer {
            Err(reason) => {
                let failure = Failure::of_peer(reason, Fault::NextPeer);
                self.selection.on_no_answer(url, failure);
            }
            Ok(offer) => {
                let (time, now) = (Duration::ZERO, self.now);
                let _ = self.selection.on_offer(url, offer.clone(), time, runner.clone(), now);
            }
        }
    }
}

/// Orders by known free capacity first, then by hourly price; a runner without a price comes before the others.
fn better_first(a: &Runner, b: &Runner) -> Ordering {
    let cheaper = match (&a.price, &b.price) {
        (Some(a), Some(b)) => a.cheaper_first(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    a.free.is_none().cmp(&b.free.is_none()).then(cheaper)
}

fn offer(runner: &Runner) -> Offer {
    let fit = match runner.free {
        Some(0) => Fit::Full,
        free => Fit::Has { warm: true, free },
    };
    Offer { fit, price: Ok(runner.price) }
}

/// Why a runner of the application cannot be used, by its mode and GPU; `None` if it can.
fn unfit(runner: &Runner, options: &RunnerOptions, mode: RunnerMode) -> Option<String> {
    if let Some(other) = runner.mode.filter(|other| *other != mode) {
        return Some(format!("its mode is {}, not {}", other.as_str(), mode.as_str()));
    }
    let wanted = options.gpu.as_deref()?;
    match &runner.gpu {
        Some(gpu) if gpu.name == wanted => None,
        Some(gpu) => Some(format!("its GPU is {}, not {wanted}", gpu.name)),
        None => Some(format!("its GPU is not stated; {wanted} is required")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn runner(host: &str, change: &Value) -> Value {
        let mut runner = json!({
            "url": format!("https://{host}:8935/apps/r/session"), "app": "echo", "mode": "persistent",
            "capacity": 2, "capacity_available": 1, "gpu": {"name": "L40S"},
            "price_info": {"price": 10, "currency": "wei", "unit": "seconds"}
        });
        for (key, value) in change.as_object().unwrap() {
            runner[key] = value.clone();
        }
        json!({"address": format!("https://{host}:8935"), "runners": [runner]})
    }

    fn options(gpu: Option<&str>) -> RunnerOptions {
        RunnerOptions {
            app: "echo".into(),
            gpu: gpu.map(str::to_owned),
            max_price: "12 wei per second".parse().ok(),
        }
    }

    /// The hosts in the order in which they were tried, and the error when none was left.
    fn tried(entries: Vec<Value>, options: &RunnerOptions) -> (Vec<String>, String) {
        let list = DiscoveryList::parse(json!(entries).to_string().as_bytes()).unwrap();
        let now = Instant::now();
        let mut runners = RunnerSelection::new(
            &list,
            options,
            RunnerMode::Persistent,
            CandidateOrder::Price,
            now,
        );
        let mut hosts = Vec::new();
        loop {
            match runners.best() {
                Ok(runner) => {
                    hosts.push(runner.url.authority().host().to_owned());
                    runners.on_failed(&runner, Failure::of_peer("busy", Fault::NextPeer));
                }
                Err(none) => return (hosts, none.to_string()),
            }
        }
    }

    #[track_caller]
    fn check(change: Value, reason: &str) {
        let (hosts, none) = tried(vec![runner("a", &change)], &options(Some("L40S")));
        assert!(none.contains(reason), "{none}");
        assert_eq!(hosts.is_empty(), reason != "busy", "{none}");
    }

    #[test]
    fn each_unfit_runner_has_its_reason() {
        check(json!({}), "busy");
        check(json!({"mode": null}), "busy");
        check(json!({"capacity_available": null, "capacity": null}), "busy");
        check(json!({"price_info": null}), "busy");
        check(json!({"mode": "single-shot"}), "its mode is single-shot, not persistent");
        check(json!({"gpu": {"name": "T4"}}), "its GPU is T4, not L40S");
        check(json!({"gpu": null}), "its GPU is not stated; L40S is required");
        check(json!({"capacity_available": 0}), "no capacity left");
        let price = |price: u32, unit: &str| json!({"price_info": {"price": price, "currency": "wei", "unit": unit}});
        check(price(13, "seconds"), "over max-price");
        check(price(1, "fixed"), "cannot be compared");
        check(json!({"app": "other"}), "no runner of app `echo` is known");
    }

    #[test]
    fn free_capacity_then_the_price_decides_over_the_whole_list() {
        let price = |price: u32| json!({"price_info": {"price": price, "currency": "wei", "unit": "seconds"}});
        let mut entries: Vec<Value> =
            (1..=9).map(|n| runner(&format!("h{n}"), &price(12 - n))).collect();
        entries.push(runner(
            "unsaid",
            &json!({"capacity": null, "capacity_available": null, "price_info": null}),
        ));
        entries.push(runner("free", &json!({"price_info": null})));
        let (hosts, _) = tried(entries, &options(None));
        assert_eq!(hosts, ["free", "h9", "h8", "h7", "h6", "h5", "h4", "h3", "h2", "h1", "unsaid"]);
    }
}
