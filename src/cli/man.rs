//! The manual page, from the table of commands and the table of keys, for man(1).
//!
//! Does not: print.

use super::command::{Row, rows};
use super::help::usage;
use crate::config::document;
use crate::config::keys::keys;

/// `livepeer-edge.1`.
pub(super) fn page() -> String {
    let mut page = Page::default();
    page.raw(concat!(
        ".TH LIVEPEER\\-EDGE 1 \"\" \"livepeer\\-edge ",
        env!("CARGO_PKG_VERSION"),
        "\" \"User Commands\""
    ));
    page.section("NAME");
    page.text(concat!("livepeer-edge - ", env!("CARGO_PKG_DESCRIPTION")));
    page.section("SYNOPSIS");
    for row in rows() {
        page.term(&format!("livepeer-edge {}", usage(row)), "");
    }
    page.section("COMMANDS");
    rows().for_each(|row| command(&mut page, row));
    page.section("CONFIGURATION");
    page.text(
        "A file in TOML, the environment and the command line set the same keys; the command line is \
         strongest, then the environment, the file, the default. A key stands in the file as its second \
         part in the section of its first part, in the environment as LIVEPEER_EDGE_ and its name in \
         capitals with _ for . and -, on the command line as --section.key VALUE. In the environment and on \
         the command line, lists are comma-separated and tables are JSON objects. Unknown keys are errors, and \
         so are unknown variables that begin with LIVEPEER_EDGE_. `livepeer-edge help config` prints a \
         complete file.",
    );
    for key in keys() {
        let limits = format!("Allowed: {}; {}.", key.takes.allowed(), document::initial(key));
        page.term(key.name, &format!("{} {limits}", key.what));
    }
    page.section("FILES");
    for (path, what) in FILES {
        page.term(path, what);
    }
    page.section("EXIT STATUS");
    for (code, what) in EXIT_CODES {
        page.term(code, what);
    }
    page.section("SEE ALSO");
    page.raw(".BR systemctl (1),\n.BR journalctl (1),\n.BR gst\\-inspect\\-1.0 (1)");
    page.0
}

const EXIT_CODES: [(&str, &str); 3] = [
    ("0", "Done: the time was up, the input ended, or a signal asked for the end."),
    ("1", "Failed: the last line on standard error names the reason."),
    ("2", "Wrong usage or configuration: nothing was started."),
];

const FILES: [(&str, &str); 7] = [
    ("/etc/livepeer-edge/livepeer-edge.toml", "Configuration of livepeer-edge.service."),
    ("/etc/livepeer-edge/NAME.toml", "Configuration of the instance livepeer-edge@NAME.service."),
    (
        "/etc/credstore/livepeer-edge.NAME, /etc/credstore/livepeer-edge-INSTANCE.NAME",
        "Secrets of the services, for root alone: orchestrator-token, signer-headers, api-token, webhook-secret.",
    ),
    (
        "/var/lib/livepeer-edge",
        "State of the service: known certificates, the last good list of orchestrators, results of encoder \
         tests, last-working.toml, the last configuration that worked, and parameters that were set while a job ran.",
    ),
    (
        "/dev/livepeer-edge/NAME",
        "A camera that a rule of udev gave the property LIVEPEER_EDGE=NAME; its instance starts when it \
         appears.",
    ),
    ("/usr/share/doc/livepeer-edge/README.md", "Installation, troubleshooting, security."),
    (
        "/usr/share/doc/livepeer-edge/systemd/README.md",
        "The service: several cameras, secrets, rights, stored input.",
    ),
];

fn command(page: &mut Page, row: &Row) {
    page.term(&usage(row), row.what);
    if !row.flags.is_empty() {
        page.raw(".RS");
        for flag in row.flags {
            page.term(&flag.usage(), flag.what);
        }
        page.raw(".RE");
    }
}

/// A text in the format of man(7).
#[derive(Default)]
struct Page(String);

impl Page {
    /// A line of the format itself.
    fn raw(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, name: &str) {
        self.raw(&format!(".SH {name}"));
    }

    fn text(&mut self, text: &str) {
        self.raw(&escaped(text));
    }

    fn term(&mut self, term: &str, text: &str) {
        self.raw(".TP");
        self.raw(&format!("\\fB{}\\fR", escaped(term)));
        if !text.is_empty() {
            self.text(text);
        }
    }
}

/// Escapes a text, so that no line is a man(7) command and dashes can be copied.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_read_as_a_command_of_the_language() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(escaped(text), expected);
        }
        check("a --b", "a \\-\\-b");
        check(".a", "\\&.a");
        check("'a", "\\&'a");
        check("a\\b", "a\\eb");
    }

    #[test]
    fn every_command_flag_and_key_is_in_the_page() {
        let page = page();
        for row in rows() {
            assert!(page.contains(&escaped(row.what)), "{}", row.name);
            for flag in row.flags {
                assert!(page.contains(&escaped(flag.what)), "{} --{}", row.name, flag.name);
            }
        }
        for key in keys() {
            assert!(page.contains(&format!("\\fB{}\\fR\n", escaped(key.name))), "{}", key.name);
        }
        let known = [".TH", ".SH", ".TP", ".RS", ".RE", ".BR"];
        let commands = page.lines().filter(|line| line.starts_with(['.', '\'']));
        for line in commands {
            assert!(known.iter().any(|name| line.starts_with(name)), "{line}");
        }
    }
}
