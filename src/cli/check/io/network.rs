//! Asks the network: names, certificates, signers, lists, orchestrators. Nothing is started, paid or pinned.
//!
//! Does not: contact runners; their orchestrators' lists describe them.

use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::cli::check::finding::Finding;
use crate::cli::check::offers::{List, certificates, lists, orchestrators, price};
use crate::cli::discover;
use crate::cli::reach::{Reach, ReachError};
use crate::config::Config;
use livepeer_gateway::http::io::{Client, HttpRequest};
use livepeer_gateway::http::{Authority, Scheme, Url};
use livepeer_gateway::orchestrator::io::FoundList;
use livepeer_gateway::orchestrator::{DiscoveryList, Endpoints};
use livepeer_gateway::payment::PaymentError;
use livepeer_gateway::session::PaymentSetup;
use resilience::fault::chain;
use resilience::secret::io::SecretError;

/// The time limit for looking up a name.
const LOOKUP_TIME: Duration = Duration::from_secs(6);
/// The time limit for a connection to a signer or discovery endpoint.
const TLS_TIME: Duration = Duration::from_secs(10);
/// The time limit for an answer of the signers.
const SIGNER_TIME: Duration = Duration::from_secs(20);
/// The time limit for all lists.
const DISCOVERY_TIME: Duration = Duration::from_secs(20);
/// The time limit for the answers of all orchestrators.
const ORCHESTRATORS_TIME: Duration = Duration::from_secs(40);

/// The findings about the network.
pub(in crate::cli::check) async fn check(config: &Config) -> Vec<Finding> {
    let reach = match Reach::new(config) {
        Ok(reach) => reach,
        Err(error) => return vec![credentials(&error)],
    };
    let endpoints = &reach.endpoints;
    let (names, tls, signer) = tokio::join!(
        names(endpoints),
        connections(&reach.services, endpoints),
        signer(reach.payments.as_ref())
    );
    let mut findings = [names, tls, signer.into_iter().collect()].concat();
    let found = timeout(DISCOVERY_TIME, find(config, &reach)).await;
    let (found, list) = found.unwrap_or_else(|_| {
        let what = Err(late(DISCOVERY_TIME));
        (vec![List { source: "all sources".to_owned(), found: what }], DiscoveryList::default())
    });
    findings.extend(lists(&found));
    if list.entries.is_empty() {
        return findings;
    }
    let wanted = config.runner.as_ref().map_or(&config.job.model, |runner| &runner.options.app);
    match timeout(ORCHESTRATORS_TIME, discover::ask(config, &reach, list)).await {
        Ok((rows, _)) => {
            findings.extend(certificates(&rows));
            findings.push(orchestrators(&rows, wanted));
            findings.extend(price(&rows, config.access.max_price, reach.payments.is_some()));
        }
        Err(_) => {
            let advice = "check the connection to the Internet, and a firewall";
            findings.push(Finding::failed("orchestrators", late(ORCHESTRATORS_TIME), advice));
        }
    }
    findings
}

fn late(time: Duration) -> String {
    format!("no answer within {} s", time.as_secs())
}

fn credentials(error: &ReachError) -> Finding {
    let text = chain(error);
    match error {
        ReachError::NoToken(SecretError::NoCredentials(name))
        | ReachError::Signers(PaymentError::Credential(SecretError::NoCredentials(name))) => {
            let advice = format!(
                "the service manager gives it to the service alone; with it: sudo systemd-run --pipe --wait \
                 -p LoadCredential={name}:/etc/credstore/livepeer-edge.{name} livepeer-edge check"
            );
            Finding::warning("credentials", format!("the network is not checked: {text}"), advice)
        }
        ReachError::NoToken(_)
        | ReachError::Token(_)
        | ReachError::Authorities(_)
        | ReachError::Signers(_) => {
            Finding::failed("credentials", text, "correct the file, or the key that names it")
        }
    }
}

/// The configured peers, each once.
fn peers(endpoints: &Endpoints) -> Vec<Authority> {
    let all = endpoints.orchestrators.iter().chain(&endpoints.signers).chain(&endpoints.discovery);
    let mut peers: Vec<Authority> = Vec::new();
    for url in all {
        if !peers.contains(url.authority()) {
            peers.push(url.authority().clone());
        }
    }
    peers
}

/// Looks up the names of the configured peers, all at once.
async fn names(endpoints: &Endpoints) -> Vec<Finding> {
    let mut hosts: Vec<String> = Vec::new();
    for peer in peers(endpoints) {
        let is_name = peer.host().parse::<IpAddr>().is_err();
        if is_name && !hosts.iter().any(|host| host == peer.host()) {
            hosts.push(peer.host().to_owned());
        }
    }
    let mut lookups = JoinSet::new();
    for (at, host) in hosts.into_iter().enumerate() {
        lookups.spawn(async move { (at, name(host).await) });
    }
    let mut findings: Vec<(usize, Finding)> = lookups.join_all().await;
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

async fn name(host: String) -> Finding {
    let asked = host.clone();
    let lookup = spawn_blocking(move || {
        (asked.as_str(), 0).to_socket_addrs().map(|found| found.map(|one| one.ip()).collect())
    });
    let advice = "check the spelling, and `getent hosts NAME`; without any name, the name server in /etc/resolv.conf";
    match timeout(LOOKUP_TIME, lookup).await {
        Ok(Ok(Ok(addresses))) => {
            let addresses: Vec<IpAddr> = addresses;
            let first: Vec<String> = addresses.iter().take(2).map(ToString::to_string).collect();
            Finding::ok("dns", format!("has the address {}", first.join(", ")))
        }
        Ok(Ok(Err(error))) => {
            Finding::failed("dns", format!("the name has no address: {error}"), advice)
        }
        Ok(Err(_)) | Err(_) => Finding::failed("dns", late(LOOKUP_TIME), advice),
    }
    .about(host)
}

/// Connects to the signers and the discovery endpoint, all at once. Any answer shows that the certificate is trusted.
async fn connections(services: &Client, endpoints: &Endpoints) -> Vec<Finding> {
    let mut urls: Vec<Url> = Vec::new();
    for url in endpoints.signers.iter().chain(&endpoints.discovery) {
        let origin = url.origin();
        if origin.scheme() == Scheme::Https && !urls.contains(&origin) {
            urls.push(origin);
        }
    }
    let mut calls = JoinSet::new();
    for (at, url) in urls.into_iter().enumerate() {
        let client = services.clone();
        calls.spawn(async move {
            let about = url.authority().to_string();
            let finding = match client.call(HttpRequest::get(url).within(TLS_TIME)).await {
                Ok(_) => Finding::ok("tls", "the certificate is trusted"),
                Err(error) => Finding::failed(
                    "tls",
                    chain(&error),
                    "check the address and this computer's clock; services.pins and services.ca-file name what is trusted",
                ),
            };
            (at, finding.about(about))
        });
    }
    let mut findings: Vec<(usize, Finding)> = calls.join_all().await;
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

/// Asks the signers for the payer's signature, which costs nothing.
async fn signer(payments: Option<&PaymentSetup>) -> Option<Finding> {
    let signers = &payments?.signers;
    let advice = "check signer.urls and signer.headers, and the account at the signer";
    Some(match timeout(SIGNER_TIME, signers.signature()).await {
        Ok(Ok(signature)) => Finding::ok("signer", format!("pays as {}", signature.payer())),
        Ok(Err(error)) => Finding::failed("signer", chain(&error), advice),
        Err(_) => Finding::failed("signer", late(SIGNER_TIME), advice),
    })
}

/// The lists of all sources, and all of their orchestrators.
async fn find(config: &Config, reach: &Reach) -> (Vec<List>, DiscoveryList) {
    // Without a state directory, so that no list is kept.
    let config = Config { state_directory: None, ..config.clone() };
    let mut finder = reach.finder(&config, discover::query(&config));
    let (mut found, mut all) = (Vec::new(), DiscoveryList::default());
    while let Some(listed) = finder.next().await {
        match listed {
            Ok(FoundList { source, list }) => {
                let count = Ok(list.entries.len());
                found.push(List { source: source.to_string(), found: count });
                discover::merge(&mut all, list);
            }
            Err(error) => {
                found.push(List { source: "a source".to_owned(), found: Err(chain(&error)) })
            }
        }
    }
    (found, all)
}
