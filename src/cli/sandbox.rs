//! `sandbox`: runs an orchestrator with its runners and a signer, to develop against.
//!
//! Does not: use keys or money of value.

use std::net::SocketAddr;
use std::time::Duration;

use super::Error;
use livepeer_gateway::price::PriceUnit;
use resilience::stop::Stop;
use sandbox::{Handle, Options, RunnerOptions, Sandbox, SignerOptions, SingleShot};

/// Wei per pixel of live video.
const LIVE: u32 = 10;
/// Wei per second of a session, and for a call.
const SESSION: u32 = 1_000_000;
/// The app of the persistent runner and of the single-shot one.
const APPS: [&str; 2] = ["echo", "text"];

/// Runs until `stop`. Violations of the protocol by gateways are logged as they happen, and counted at the end.
pub async fn run(
    listen: SocketAddr,
    signer: Option<SocketAddr>,
    paying: bool,
    mut stop: Stop,
) -> Result<(), Error> {
    let signer = signer.map(|listen| SignerOptions { listen, ..SignerOptions::default() });
    let options = Options {
        listen,
        signer,
        price: paying.then_some(LIVE),
        runners: runners(paying),
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).map_err(Error::Sandbox)?;
    tell(&sandbox, paying);
    stop.wait().await;
    let (counters, violations) = (sandbox.counters(), sandbox.violations());
    log::info!(
        "{} jobs, {} sessions, {} segments, {} access units, {} violations",
        counters.jobs,
        counters.reserved,
        counters.segments,
        counters.access_units,
        violations.count()
    );
    if paying {
        let ledger = sandbox.ledger();
        log::info!(
            "{} payments, for {} s; {} debits; {} calls refused",
            ledger.payments(),
            ledger.time_paid().as_secs(),
            ledger.debits(),
            ledger.refused().count()
        );
    }
    Ok(())
}

fn runners(paying: bool) -> Vec<RunnerOptions> {
    let [persistent, single] = APPS.map(str::to_owned);
    let price = |unit| paying.then_some((unit, SESSION));
    let echo = RunnerOptions {
        app: persistent,
        price: price(PriceUnit::Seconds),
        capacity: 4,
        ..RunnerOptions::default()
    };
    let shot = SingleShot::Events { count: 5, gap: Duration::from_millis(200) };
    let text = RunnerOptions {
        app: single,
        shot: Some(shot),
        price: price(PriceUnit::Fixed),
        capacity: 4,
        ..RunnerOptions::default()
    };
    vec![echo, text]
}

/// Logs the addresses and certificates that a gateway needs.
fn tell(sandbox: &Handle, paying: bool) {
    let price = if paying { format!(", {LIVE} wei per pixel") } else { String::new() };
    log::info!("orchestrator at {}, certificate {}{price}", sandbox.url(), sandbox.fingerprint());
    let [persistent, single] = APPS;
    log::info!(
        "runners listed at {}/discovery: {persistent} (persistent), {single} (single-shot)",
        sandbox.url()
    );
    if let (Some(plain), Some(tls)) = (sandbox.signer_url(), sandbox.signer_tls_url()) {
        log::info!("signer at {plain} and {tls}, certificate {}", sandbox.signer_fingerprint());
        log::info!("use them with --orchestrator.urls {} --signer.urls {plain}", sandbox.url());
    }
}
