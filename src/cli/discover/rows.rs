//! Turns the answers of orchestrators and runners into rows of a table: one for each model and each runner.
//!
//! Only models of live video are shown; other pipelines count pixels differently.
//!
//! Does not: print.

use std::time::Duration;

use super::survey::Certificate;
use livepeer_gateway::http::Url;
use livepeer_gateway::orchestrator::proto::{ModelConstraint, OrchestratorInfo, PriceInfo};
use livepeer_gateway::orchestrator::{Capability, DiscoveryEntry, Pipeline, Runner, RunnerMode};
use livepeer_gateway::price::{Price, PriceError};
use livepeer_gateway::session::selection::{Offer, OfferRules, PaymentPolicy};

/// An offer, or the reason why it is rejected.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Row {
    pub(in crate::cli) address: Url,
    pub(in crate::cli) offers: Offers,
    pub(in crate::cli) price: Option<Price>,
    /// The number of jobs in total.
    pub(in crate::cli) capacity: Option<u32>,
    /// The number of free jobs.
    pub(in crate::cli) free: Option<u32>,
    /// Whether the model is loaded.
    pub(in crate::cli) warm: Option<bool>,
    pub(in crate::cli) gpu: Option<String>,
    pub(in crate::cli) answer_time: Option<Duration>,
    pub(in crate::cli) certificate: Certificate,
    /// Why the offer is rejected.
    pub(in crate::cli) rejected: Option<String>,
}

/// What a row offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Offers {
    /// The peer named no offer.
    Unsaid,
    /// A model of live video.
    Model(String),
    /// An application of a runner.
    App(String, Option<RunnerMode>),
}

impl Row {
    /// An orchestrator of which only the address is known.
    pub(in crate::cli) fn bare(address: &Url, certificate: Certificate) -> Self {
        Self {
            address: address.clone(),
            offers: Offers::Unsaid,
            price: None,
            capacity: None,
            free: None,
            warm: None,
            gpu: None,
            answer_time: None,
            certificate,
            rejected: None,
        }
    }
}

/// The criteria of the search.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Sought {
    pub(in crate::cli) model: Option<Capability>,
    pub(in crate::cli) app: Option<String>,
    pub(in crate::cli) gpu: Option<String>,
    pub(in crate::cli) rules: OfferRules,
}

/// The rows of an orchestrator's models, by its info.
pub(in crate::cli) fn of_info(bare: &Row, info: &OrchestratorInfo, sought: &Sought) -> Vec<Row> {
    let id = Pipeline::LIVE_VIDEO_TO_VIDEO.id();
    let constraints = info.capabilities.as_ref().and_then(|all| all.constraints.as_ref());
    let models = constraints.and_then(|all| all.per_capability.get(&id));
    let mut rows: Vec<Row> = models
        .into_iter()
        .flat_map(|models| &models.models)
        .map(|(name, model)| of_model(bare, name, model, price(info, name), sought))
        .collect();
    match &sought.model {
        Some(wanted)
            if !rows.iter().any(|row| row.offers == Offers::Model(wanted.model.clone())) =>
        {
            let offer = Offer::of_info(info, wanted);
            let mut row = bare.clone();
            row.price = offer.price.clone().ok().flatten();
            row.rejected = sought.rules.against(&offer).map(|reason| reason.to_string());
            rows.push(row);
        }
        None if rows.is_empty() => {
            rows.push(Row { price: price(info, "").ok().flatten(), ..bare.clone() });
        }
        Some(_) | None => {}
    }
    rows
}

fn of_model(
    bare: &Row,
    name: &str,
    model: &ModelConstraint,
    price: Result<Option<Price>, PriceError>,
    sought: &Sought,
) -> Row {
    // Orchestrators that do not report their capacity send 0 of 0.
    let counts = model.capacity > 0 || model.capacity_in_use > 0;
    let free = counts.then(|| model.capacity.saturating_sub(model.capacity_in_use));
    let rejected = against(free, &price, &sought.rules);
    Row {
        offers: Offers::Model(name.to_owned()),
        price: price.ok().flatten(),
        capacity: counts.then_some(model.capacity),
        free,
        warm: Some(model.warm),
        rejected,
        ..bare.clone()
    }
}

/// The price of a model: its own, else that of the orchestrator.
fn price(info: &OrchestratorInfo, model: &str) -> Result<Option<Price>, PriceError> {
    let id = Pipeline::LIVE_VIDEO_TO_VIDEO.id();
    let own = |price: &&PriceInfo| price.capability == id && price.constraint == model;
    let price = info.capabilities_prices.iter().find(own).or(info.price_info.as_ref());
    price.map(|price| Price::per_pixels(price.price_per_unit, price.pixels_per_unit)).transpose()
}

/// The rows of an orchestrator's runners.
pub(in crate::cli) fn of_runners(bare: &Row, entry: &DiscoveryEntry, sought: &Sought) -> Vec<Row> {
    let wanted = |runner: &&Runner| sought.app.as_ref().is_none_or(|app| *app == runner.app);
    let row = |runner: &Runner| {
        let gpu = runner.gpu.as_ref().map(|gpu| gpu.name.clone());
        let other_gpu = match (&sought.gpu, &gpu) {
            (Some(wanted), Some(gpu)) if wanted != gpu => Some(format!("its GPU is not {wanted}")),
            (Some(wanted), None) => Some(format!("its GPU is not stated; {wanted} is required")),
            (Some(_) | None, _) => None,
        };
        let rules = OfferRules { pays: PaymentPolicy::IfPriced, ..sought.rules };
        Row {
            offers: Offers::App(runner.app.clone(), runner.mode),
            price: runner.price,
            capacity: runner.capacity,
            free: runner.free,
            rejected: other_gpu.or_else(|| against(runner.free, &Ok(runner.price), &rules)),
            gpu,
            ..bare.clone()
        }
    };
    entry.runners.iter().filter(wanted).map(row).collect()
}

fn against(
    free: Option<u32>,
    price: &Result<Option<Price>, PriceError>,
    rules: &OfferRules,
) -> Option<String> {
    use livepeer_gateway::orchestrator::Fit;
    let fit = match free {
        Some(0) => Fit::Full,
        free => Fit::Has { warm: true, free },
    };
    let offer = Offer { fit, price: price.clone() };
    rules.against(&offer).map(|reason| reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepeer_gateway::orchestrator::DiscoveryList;
    use livepeer_gateway::orchestrator::proto::{Capabilities, CapabilityConstraints, Constraints};

    fn bare() -> Row {
        Row::bare(&Url::parse_base("o.example", 8935).unwrap(), Certificate::New)
    }

    fn info(models: &[(&str, bool, u32, u32)]) -> OrchestratorInfo {
        let models = models.iter().map(|(name, warm, capacity, in_use)| {
            let model = ModelConstraint {
                warm: *warm,
                capacity: *capacity,
                capacity_in_use: *in_use,
                ..ModelConstraint::default()
            };
            ((*name).to_owned(), model)
        });
        let per_capability = [(35, CapabilityConstraints { models: models.collect() })].into();
        let price = |wei: i64, model: &str| PriceInfo {
            price_per_unit: wei,
            pixels_per_unit: 1,
            capability: 35,
            constraint: model.to_owned(),
        };
        OrchestratorInfo {
            price_info: Some(price(5, "")),
            capabilities: Some(Capabilities {
                constraints: Some(Constraints { per_capability, ..Constraints::default() }),
                ..Capabilities::default()
            }),
            capabilities_prices: vec![price(9, "dear")],
            ..OrchestratorInfo::default()
        }
    }

    fn sought(model: Option<&str>, max: &str) -> Sought {
        let model = model.map(|model| format!("live-video-to-video/{model}").parse().unwrap());
        let rules = OfferRules { max_price: max.parse().ok(), pays: PaymentPolicy::Never };
        Sought { model, rules, ..Sought::default() }
    }

    /// The offer of each row, its free capacity, and why the offer is rejected.
    #[track_caller]
    fn check(rows: &[Row], expected: &[(&str, Option<u32>, Option<&str>)]) {
        let shown: Vec<(&str, Option<u32>, Option<&str>)> = rows
            .iter()
            .map(|row| {
                let offers = match &row.offers {
                    Offers::Unsaid => "-",
                    Offers::Model(name) | Offers::App(name, _) => name,
                };
                (offers, row.free, row.rejected.as_deref())
            })
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_model_has_its_row_with_its_own_price() {
        let info = info(&[("cheap", true, 4, 1), ("dear", false, 0, 0), ("full", true, 2, 2)]);
        let rows = of_info(&bare(), &info, &sought(None, "6 wei per 720p-pixel-second"));
        let dear = "costs 9 wei per 720p-pixel-second, over max-price 6 wei per 720p-pixel-second";
        check(
            &rows,
            &[
                ("cheap", Some(3), None),
                ("dear", None, Some(dear)),
                ("full", Some(0), Some("has no capacity left")),
            ],
        );
        assert_eq!(rows[0].price.unwrap().to_string(), "5 wei per 720p-pixel-second");
        assert_eq!((rows[0].warm, rows[1].warm), (Some(true), Some(false)));
    }

    #[test]
    fn a_missing_model_is_a_reason() {
        let rows = of_info(&bare(), &info(&[("a", true, 1, 0)]), &sought(Some("b"), ""));
        check(&rows, &[("a", Some(1), None), ("-", None, Some("does not have the model"))]);
        let silent = OrchestratorInfo::default();
        check(&of_info(&bare(), &silent, &sought(Some("b"), "")), &[("-", None, None)]);
        check(&of_info(&bare(), &silent, &sought(None, "")), &[("-", None, None)]);
    }

    #[test]
    fn runners_are_rows_of_the_wanted_app() {
        let list = br#"[{"address":"o.example","runners":[
            {"url":"https://o.example/1","app":"echo","mode":"persistent","capacity":2,"capacity_used":2},
            {"url":"https://o.example/2","app":"echo","gpu":{"name":"T4"}},
            {"url":"https://o.example/3","app":"echo","gpu":{"name":"L40S"}},
            {"url":"https://o.example/4","app":"other"}]}]"#;
        let list = DiscoveryList::parse(list).unwrap();
        let all = of_runners(&bare(), &list.entries[0], &Sought::default());
        assert_eq!(all.len(), 4);
        let sought =
            Sought { app: Some("echo".into()), gpu: Some("L40S".into()), ..Sought::default() };
        check(
            &of_runners(&bare(), &list.entries[0], &sought),
            &[
                ("echo", Some(0), Some("its GPU is not stated; L40S is required")),
                ("echo", None, Some("its GPU is not L40S")),
                ("echo", None, None),
            ],
        );
    }
}
