//! Judges what the network answers: certificates, lists of orchestrators, their offers and prices.
//!
//! Does not: ask; `io::network` does.

use super::finding::Finding;
use crate::cli::discover::rows::Row;
use crate::cli::discover::survey::Certificate;
use livepeer_gateway::price::MaxPrice;

/// The most rejected candidates that are named.
const NAMED: usize = 3;

/// A list of orchestrators, by its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    pub(super) source: String,
    /// The number of orchestrators in the list, or why the list did not come.
    pub(super) found: Result<usize, String>,
}

/// The findings about the lists. A list that does not come is a failure only if no other has an orchestrator.
pub(super) fn lists(lists: &[List]) -> Vec<Finding> {
    let is_found = lists.iter().any(|list| list.found.as_ref().is_ok_and(|count| *count > 0));
    let advice = "check discovery.url, signer.urls and their headers";
    let judged = |found: &Result<usize, String>| match found {
        Ok(count) if *count > 0 => {
            Finding::ok("discovery", format!("orchestrators found: {count}"))
        }
        found => {
            let what = found.as_ref().err().cloned();
            let what = what.unwrap_or_else(|| "its list is empty".to_owned());
            match is_found {
                true => Finding::warning("discovery", what, advice),
                false => Finding::failed("discovery", what, advice),
            }
        }
    };
    let findings: Vec<Finding> =
        lists.iter().map(|list| judged(&list.found).about(&list.source)).collect();
    match findings.is_empty() {
        true => vec![Finding::failed("discovery", "no list of orchestrators came", advice)],
        false => findings,
    }
}

/// The findings about the certificates that orchestrators show, each host once.
pub(super) fn certificates(rows: &[Row]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for row in rows {
        let peer = row.address.authority().to_string();
        if findings.iter().any(|known| known.name == peer) {
            continue;
        }
        findings.extend(certificate(row.certificate, &peer).map(|finding| finding.about(peer)));
    }
    findings
}

fn certificate(certificate: Certificate, peer: &str) -> Option<Finding> {
    match certificate {
        // Without a certificate: the connection failed, which the line about orchestrators says.
        Certificate::Plain | Certificate::Unseen => None,
        Certificate::Authority => Some(Finding::ok("tls", "an authority signed the certificate")),
        Certificate::Pinned => Some(Finding::ok("tls", "the certificate is the pinned one")),
        Certificate::New => {
            Some(Finding::ok("tls", "the certificate is new, and would be pinned at the first job"))
        }
        Certificate::Changed => Some(Finding::warning(
            "tls",
            "the certificate is another than the pinned one, and would replace it",
            "many orchestrators make a new one at each start; orchestrator.on-change = \"refuse\" refuses it",
        )),
        Certificate::Refused => Some(Finding::failed(
            "tls",
            "the certificate is refused",
            format!(
                "ask its operator for the SHA-256; then correct orchestrator.pins, or `livepeer-edge trust forget {peer}`"
            ),
        )),
        Certificate::Unchecked => Some(Finding::warning(
            "tls",
            "certificates are not checked: anybody on the path can see the video",
            "set orchestrator.trust to another value than \"insecure\"",
        )),
    }
}

/// The finding about the offers of all orchestrators. A job needs an offer that is not rejected.
pub(super) fn orchestrators(rows: &[Row], wanted: &str) -> Finding {
    let (rejected, usable): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.rejected.is_some());
    let reason = |row: &&Row| {
        format!("{}: {}", row.address.authority(), row.rejected.as_deref().unwrap_or_default())
    };
    let mut reasons: Vec<String> = rejected.iter().take(NAMED).map(reason).collect();
    if rejected.len() > NAMED {
        reasons.push(format!("and {} more", rejected.len() - NAMED));
    }
    let reasons = reasons.join("; ");
    let advice =
        "`livepeer-edge discover` shows all offers; name another orchestrator in orchestrator.urls";
    match (usable.len(), rejected.len()) {
        (0, 0) => Finding::failed("orchestrators", "there is none to ask", advice),
        (0, _) => {
            Finding::failed("orchestrators", format!("none can run {wanted}: {reasons}"), advice)
        }
        (usable, 0) => {
            Finding::ok("orchestrators", format!("{usable} of {usable} can run {wanted}"))
        }
        (usable, rejected) => {
            let all = usable + rejected;
            Finding::ok("orchestrators", format!("{usable} of {all} can run {wanted}; {reasons}"))
        }
    }
}

/// The finding about the lowest price; `None` without an offer.
pub(super) fn price(rows: &[Row], max_price: Option<MaxPrice>, pays: bool) -> Option<Finding> {
    let usable = rows.iter().filter(|row| row.rejected.is_none());
    let prices = usable.clone().filter_map(|row| row.price);
    let lowest = prices.min_by_key(|price| price.wei_per_hour().unwrap_or(u128::MAX));
    let Some(lowest) = lowest else {
        usable.clone().next()?;
        return Some(Finding::ok("price", "no price is asked"));
    };
    let lowest = lowest.shown_per_hour();
    Some(match (pays, max_price) {
        (false, _) => Finding::ok("price", format!("from {lowest}; no signer pays")),
        (true, Some(limit)) => Finding::ok("price", format!("from {lowest}; the limit is {limit}")),
        (true, None) => Finding::warning(
            "price",
            format!("from {lowest}; any price is paid"),
            "set payment.max-price",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use livepeer_gateway::http::Url;
    use livepeer_gateway::price::{Price, PriceUnit};

    fn row(host: &str, price: &str, rejected: Option<&str>, certificate: Certificate) -> Row {
        let url = Url::parse(&format!("https://{host}:8935")).unwrap();
        Row {
            price: Price::parse(price, PriceUnit::Seconds).ok(),
            rejected: rejected.map(str::to_owned),
            ..Row::bare(&url, certificate)
        }
    }

    #[track_caller]
    fn check(finding: &Finding, verdict: Verdict, what: &str) {
        assert_eq!((finding.verdict, finding.what.as_str()), (verdict, what));
        assert_eq!(finding.advice.is_empty(), verdict == Verdict::Ok, "{}", finding.advice);
    }

    #[test]
    fn one_list_is_enough() {
        let list = |source: &str, found: Result<usize, &str>| List {
            source: source.to_owned(),
            found: found.map_err(str::to_owned),
        };
        let both = lists(&[list("signer s", Err("refuses")), list("discovery endpoint d", Ok(4))]);
        check(&both[0], Verdict::Warning, "refuses");
        check(&both[1], Verdict::Ok, "orchestrators found: 4");
        assert_eq!(
            (both[0].name.as_str(), both[1].name.as_str()),
            ("signer s", "discovery endpoint d")
        );
        check(&lists(&[list("signer s", Err("refuses"))])[0], Verdict::Failed, "refuses");
        check(&lists(&[list("signer s", Ok(0))])[0], Verdict::Failed, "its list is empty");
        check(&lists(&[])[0], Verdict::Failed, "no list of orchestrators came");
    }

    #[test]
    fn each_certificate_has_its_verdict() {
        let of =
            |certificate| super::certificate(certificate, "o:1").map(|finding| finding.verdict);
        for (certificate, expected) in [
            (Certificate::Plain, None),
            (Certificate::Unseen, None),
            (Certificate::Authority, Some(Verdict::Ok)),
            (Certificate::Pinned, Some(Verdict::Ok)),
            (Certificate::New, Some(Verdict::Ok)),
            (Certificate::Changed, Some(Verdict::Warning)),
            (Certificate::Refused, Some(Verdict::Failed)),
            (Certificate::Unchecked, Some(Verdict::Warning)),
        ] {
            assert_eq!(of(certificate), expected, "{certificate:?}");
        }
        let twice = [row("o", "1", None, Certificate::New), row("o", "2", None, Certificate::New)];
        assert_eq!(certificates(&twice).len(), 1, "a host is judged once");
    }

    #[test]
    fn one_orchestrator_is_enough() {
        let good = row("a", "10", None, Certificate::New);
        let bad = |host| row(host, "10", Some("is full"), Certificate::New);
        check(
            &orchestrators(std::slice::from_ref(&good), "noop"),
            Verdict::Ok,
            "1 of 1 can run noop",
        );
        let some = [good, bad("b")];
        check(&orchestrators(&some, "noop"), Verdict::Ok, "1 of 2 can run noop; b:8935: is full");
        let none = ["b", "c", "d", "e", "f"].map(bad);
        check(
            &orchestrators(&none, "noop"),
            Verdict::Failed,
            "none can run noop: b:8935: is full; c:8935: is full; d:8935: is full; and 2 more",
        );
        check(&orchestrators(&[], "noop"), Verdict::Failed, "there is none to ask");
    }

    #[test]
    fn the_lowest_price_counts_and_no_limit_is_a_warning() {
        let rows = [
            row("a", "20", None, Certificate::New),
            row("b", "10", None, Certificate::New),
            row("c", "1", Some("is full"), Certificate::New),
        ];
        let lowest = "from 0.000000000000036 ETH an hour (10 wei per second)";
        let limit: MaxPrice = "30 wei per second".parse().unwrap();
        let limited = price(&rows, Some(limit), true).unwrap();
        check(&limited, Verdict::Ok, &format!("{lowest}; the limit is 30 wei per second"));
        let open = price(&rows, None, true).unwrap();
        check(&open, Verdict::Warning, &format!("{lowest}; any price is paid"));
        check(
            &price(&rows, None, false).unwrap(),
            Verdict::Ok,
            &format!("{lowest}; no signer pays"),
        );
        let free = [row("a", "x", None, Certificate::New)];
        check(&price(&free, None, true).unwrap(), Verdict::Ok, "no price is asked");
        assert!(price(&rows[2..], None, true).is_none());
    }
}
