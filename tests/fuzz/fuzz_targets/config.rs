//! Parses configuration files: every text gives a configuration, or problems that can be printed.
//!
//! Does not: open the files or devices of a configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_edge::config::{Layers, Purpose, resolve};

fuzz_target!(|text: &str| {
    let layers = Layers { file: Some(("f".to_owned(), text.to_owned())), ..Layers::default() };
    for purpose in [Purpose::Run, Purpose::Demo] {
        if let Err(problems) = resolve(&layers, purpose) {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.to_string().is_empty());
            }
        }
    }
});
