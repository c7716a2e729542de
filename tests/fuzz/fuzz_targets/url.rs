//! Parses URLs from peers and from the configuration: an accepted URL is the same after it is printed and parsed again;
//! the error for a refused text has no harmful characters.
//!
//! Does not: open URLs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_gateway::http::Url;
use livepeer_gateway::trickle::{Channel, ChannelKind};
use resilience::sanitize::{is_harmful, line};

fuzz_target!(|text: &str| {
    for parsed in [Url::parse(text), Url::parse_base(text, 8935)] {
        match parsed {
            Ok(url) => {
                let shown = url.to_string();
                assert!(!shown.contains(is_harmful), "{shown:?}");
                let again = Url::parse(&shown).expect("a URL that was written");
                assert_eq!((again.authority(), again.path()), (url.authority(), url.path()));
            }
            Err(error) => {
                let shown = error.to_string();
                assert!(!shown.contains(is_harmful) && shown.chars().count() < 300, "{shown:?}");
            }
        }
    }
    if let Ok(channel) = Channel::parse(text, ChannelKind::Publish) {
        assert!(!channel.to_string().contains(is_harmful));
    }
    let shown = line(text, 40);
    assert!(shown.chars().count() <= 40 && !shown.contains(is_harmful));
});
