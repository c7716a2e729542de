//! Judges environment variables with the prefix of this program that are not the variable of a key.
//!
//! Such a variable is refused, with the name that may be meant, so that a misspelt name is noticed. Two kinds are
//! accepted: those that Kubernetes sets for a service called `livepeer-edge…`, and those that a key names as the place of
//! a secret (`env:NAME`).
//!
//! Does not: read the environment; [`super::io`] does.

use super::keys::{ENVIRONMENT_PREFIX, keys};
use super::problem::Complaint;
use super::resolve::{Layers, unknown};

/// Whether a variable name has the prefix of this program, in any case.
pub(super) fn has_prefix(name: &str) -> bool {
    name.get(..ENVIRONMENT_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(ENVIRONMENT_PREFIX))
}

/// Whether a variable with the prefix is not meant as a key.
pub(super) fn is_foreign(name: &str, text: &str, layers: &Layers) -> bool {
    is_of_kubernetes(name, text) || is_a_secret(name, layers)
}

/// The complaint about a variable that is not the variable of a key.
pub(super) fn complaint(name: &str) -> Complaint {
    let rest = plain(name.get(ENVIRONMENT_PREFIX.len()..).unwrap_or_default());
    let whole = keys().filter(|key| plain(key.name) == rest);
    let short = keys().filter(|key| plain(key.short()) == rest);
    let mut meant: Vec<String> = whole.map(|key| key.variable()).collect();
    if meant.is_empty() {
        meant = short.map(|key| key.variable()).collect();
    }
    if !meant.is_empty() {
        return Complaint::Misnamed { meant };
    }
    // The section whose name the variable begins with, if any.
    let section = keys().map(|key| key.section()).find(|section| rest.starts_with(*section));
    unknown(section.unwrap_or_default())
}

/// Lower-case letters and digits only.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_HTTP`, `…_PORT`, `…_PORT_80_TCP_ADDR`.
fn is_of_kubernetes(name: &str, text: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    let is_port = |rest: &str| {
        let mut words = rest.split('_');
        words.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && words.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_url)
        || name.split("_PORT_").skip(1).any(is_port)
}

fn is_a_secret(name: &str, layers: &Layers) -> bool {
    let place = format!("env:{name}");
    let names = |text: &str| {
        text.split(place.as_str())
            .skip(1)
            .any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    };
    layers.file.iter().any(|(_, text)| names(text))
        || layers.environment.values().any(|text| names(text))
        || layers.arguments.iter().any(|(_, text)| names(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert!(has_prefix(name));
        assert_eq!(complaint(name).to_string(), expected, "{name}");
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_one() {
        let fps = "no such key; is LIVEPEER_EDGE_VIDEO_FPS meant?";
        for name in [
            "LIVEPEER_EDGE_FPS",
            "livepeer_edge_video_fps",
            "LIVEPEER_EDGE_Video_Fps",
            "LIVEPEER_EDGE_VIDEO__FPS",
            "LIVEPEER_EDGE_VIDEO.FPS",
            "LIVEPEER_EDGE_VIDEOFPS",
        ] {
            check(name, fps);
        }
        check(
            "LIVEPEER_EDGE_URLS",
            "no such key; is LIVEPEER_EDGE_ORCHESTRATOR_URLS or LIVEPEER_EDGE_SIGNER_URLS meant?",
        );
        check("LIVEPEER_EDGE_LOG_LEVL", "no such key; known: log.level");
        let list = complaint("LIVEPEER_EDGE_COLOUR").to_string();
        assert!(list.starts_with("no such key; known: source, video, "), "{list}");
    }

    #[test]
    fn every_variable_of_a_key_is_ours_and_no_others() {
        for key in keys() {
            let name = key.variable();
            assert!(has_prefix(&name) && !is_of_kubernetes(&name, "tcp://x"), "{name}");
        }
        for name in ["LIVEPEER_EDG", "LIVEPEER_VIDEO_FPS", "HOME", "LIVEPEER_EDGÉ_X"] {
            assert!(!has_prefix(name), "{name}");
        }
    }

    #[test]
    fn what_kubernetes_sets_is_foreign() {
        let foreign = |name: &str, text: &str| is_foreign(name, text, &Layers::default());
        for (name, text) in [
            ("LIVEPEER_EDGE_SERVICE_HOST", "10.0.0.1"),
            ("LIVEPEER_EDGE_SERVICE_PORT", "80"),
            ("LIVEPEER_EDGE_SERVICE_PORT_HTTP", "80"),
            ("LIVEPEER_EDGE_PORT", "tcp://10.0.0.1:80"),
            ("LIVEPEER_EDGE_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("LIVEPEER_EDGE_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("LIVEPEER_EDGE_FRONT_PORT_80_UDP_PROTO", "udp"),
        ] {
            assert!(foreign(name, text), "{name}");
        }
        for (name, text) in [("LIVEPEER_EDGE_PORT", "80"), ("LIVEPEER_EDGE_PORT_X_TCP", "")] {
            assert!(!foreign(name, text), "{name}");
        }
    }

    #[test]
    fn a_variable_that_holds_a_secret_is_foreign() {
        let text = "[signer]\nheaders = { A = \"env:LIVEPEER_EDGE_KEY\" }".to_owned();
        let layers = Layers { file: Some(("a".to_owned(), text)), ..Layers::default() };
        assert!(is_foreign("LIVEPEER_EDGE_KEY", "x", &layers));
        assert!(!is_foreign("LIVEPEER_EDGE_KE", "x", &layers));
    }
}
