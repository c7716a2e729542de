//! Checks rules of the project that the compiler does not check: purity, headers, length, names, scripts, and
//! dependencies of each crate.
//!
//! Each rule is a function that takes a source text and returns complaints, so that a test can show that the rule
//! catches a bad sample.
//!
//! Does not: check what rustfmt, clippy or rustdoc check, nor look for unused or vulnerable dependencies;
//! `cross/dependencies.sh` does.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The maximum lines of a file without its tests.
const LONGEST_FILE: usize = 400;

/// Paths that only `io` files may use. A match must end where an identifier ends.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::thread",
    "std::process",
    "std::env",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "Instant::now",
    "SystemTime::now",
    "UNIX_EPOCH.elapsed",
    "tokio::net",
    "tokio::spawn",
    "tokio::task",
    "tokio::time",
    "tokio::signal",
    "tokio::fs",
    "gstreamer",
    "gstreamer_app",
    "hyper::client",
    "h2::client",
    "h2::server",
    "ureq",
    "tokio_rustls",
];

/// Folders that may be impure as a whole.
const SHELLS: &[&str] = &["src/main.rs", "src/cli/", "src/agent/", "src/sandbox/"];

/// Crates on which each crate must not depend, also in its tests: the last column of the code map in `src/lib.rs`. A
/// name includes the crates with this prefix (`gstreamer` includes `gstreamer-app`), and is written without
/// `livepeer-`.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("src/resilience", &["mpegts", "media", "gateway", "sandbox", "edge", "gstreamer", "gio"]),
    (
        "src/mpegts",
        &["media", "gateway", "sandbox", "edge", "gstreamer", "gio", "tokio", "socket2"],
    ),
    ("src/media", &["gateway", "sandbox", "edge", "hyper", "h2", "ureq", "rustls", "socket2"]),
    ("src/gateway", &["mpegts", "media", "sandbox", "edge", "gstreamer", "gio", "glib"]),
    ("src/sandbox", &["edge"]),
];

/// Single files that may be impure without being named `io`, each with its reason.
const IMPURE_FILES: &[(&str, &str)] = &[];

/// Words that must not be in a name, because they say a role and not what the thing is.
const BANNED_WORDS: &[&str] = &[
    "Manager",
    "Helper",
    "Helpers",
    "Util",
    "Utils",
    "Handler",
    "Processor",
    "Data",
    "Base",
    "Common",
];

/// Names with such a word that the project cannot choose, each with its origin.
const FOREIGN_NAMES: &[(&str, &str)] = &[
    ("SegData", "a message of the wire protocol"),
    ("Data", "the associated type of http_body::Body"),
];

// ---------------------------------------------------------------------------------------------
// The rules
// ---------------------------------------------------------------------------------------------

/// A pure file must not mention a path of [`IMPURE`], either directly or in a group of a `use`.
fn purity_complaints(path: &str, code: &str) -> Vec<String> {
    let is_io = path.ends_with("/io.rs") || path.contains("/io/");
    if is_io
        || SHELLS.iter().any(|shell| path.starts_with(shell))
        || IMPURE_FILES.iter().any(|(file, _)| *file == path)
    {
        return Vec::new();
    }
    let code = flatten_uses(code);
    IMPURE
        .iter()
        .filter(|name| mentions(&code, name))
        .map(|name| format!("`{name}` belongs into io.rs or below io/"))
        .collect()
}

/// A file must begin with `//!`, and the last paragraph of this header must say what the file does not do.
fn header_complaints(path: &str, text: &str) -> Vec<String> {
    // A header may include the text of another file.
    let is_header = |line: &&str| line.starts_with("//!") || line.starts_with("#![doc = ");
    let header: Vec<&str> = text.lines().take_while(is_header).collect();
    if header.is_empty() {
        return vec!["the file must open with `//!`".to_owned()];
    }
    let last = header.rsplit(|line| line.trim() == "//!").next().unwrap_or_default();
    let is_closed = last.first().is_some_and(|line| line.starts_with("//! Does not:"));
    // The header of `src/lib.rs` describes the architecture, and needs no such paragraph.
    if is_closed || path == "src/lib.rs" {
        Vec::new()
    } else {
        vec!["the header's last paragraph must start with `//! Does not:`".to_owned()]
    }
}

/// A file must not have more than `limit` lines, not counting tests.
fn length_complaints(text: &str, limit: usize) -> Vec<String> {
    let code = without_prose(text);
    let line_of = |at: usize| code[..at].matches('\n').count();
    let tests: Vec<Range<usize>> =
        test_items(&code).into_iter().map(|i| line_of(i.start)..line_of(i.end - 1) + 1).collect();
    let is_shipped = |line: &usize| !tests.iter().any(|range| range.contains(line));
    let lines = (0..text.lines().count()).filter(is_shipped).count();
    if lines > limit {
        return vec![format!("{lines} lines without tests; {limit} are allowed: split the file")];
    }
    Vec::new()
}

/// The name of a type or module must not contain a word of [`BANNED_WORDS`], and that of a function must not begin with
/// `get_`.
fn name_complaints(path: &str, code: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let stem = Path::new(path).file_stem().map(|s| s.to_string_lossy().into_owned());
    let names = declared(code).into_iter().chain(stem.map(|stem| ("mod", stem)));
    for (keyword, name) in names {
        if FOREIGN_NAMES.iter().any(|(foreign, _)| *foreign == name) {
            continue;
        }
        let words = if keyword == "mod" { snake_words(&name) } else { camel_words(&name) };
        if keyword == "fn" {
            if name.starts_with("get_") {
                complaints.push(format!("fn `{name}`: leave out `get_`"));
            }
        } else if let Some(word) = words.iter().find(|w| BANNED_WORDS.contains(&w.as_str())) {
            complaints.push(format!("`{name}`: `{word}` names a role; name the thing"));
        }
    }
    complaints
}

/// A file must not contain a path of a developer's computer.
fn place_complaints(text: &str) -> Vec<String> {
    let place = concat!("/wo", "rk/");
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.contains(place))
        .map(|(at, _)| format!("line {}: a path of a developer's computer", at + 1))
        .collect()
}

/// A manifest must not list a forbidden crate in any table of dependencies.
fn dependency_complaints(manifest: &str, forbidden: &[&str]) -> Vec<String> {
    let is_forbidden = |name: &str| {
        let name = name.strip_prefix("livepeer-").unwrap_or(name);
        forbidden.iter().any(|word| {
            name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    dependencies(manifest)
        .into_iter()
        .filter(|(name, value)| {
            // A crate may be renamed: `name = { package = "its-name" }`.
            let package =
                value.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            is_forbidden(name) || package.is_some_and(is_forbidden)
        })
        .map(|(name, _)| format!("this crate must not depend on `{name}`"))
        .collect()
}

/// Each dependency must have `default-features = false`, so that every feature is chosen explicitly.
fn feature_complaints(manifest: &str) -> Vec<String> {
    dependencies(manifest)
        .into_iter()
        .filter(|(_, value)| {
            !["path = ", "workspace = true", "default-features = false"]
                .iter()
                .any(|accepted| value.contains(accepted))
        })
        .map(|(name, _)| format!("`{name}` needs `default-features = false`"))
        .collect()
}

/// The name and the value of each dependency in a manifest, in any table of dependencies; the name of `a.workspace =
/// true` is `a`.
fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut is_table = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_table = table.ends_with("dependencies");
            // A table `[dependencies.a]`. Its keys, which follow, are not read.
            if let Some((_, name)) = table.split_once("dependencies.") {
                found.push((name, ""));
            }
        } else if let Some((name, value)) = line.split_once('=')
            && is_table
            && !line.starts_with('#')
        {
            let name = name.trim();
            match name.strip_suffix(".workspace") {
                Some(name) => found.push((name, "workspace = true")),
                None => found.push((name, value.trim())),
            }
        }
    }
    found
}

// ---------------------------------------------------------------------------------------------
// Reading source texts
// ---------------------------------------------------------------------------------------------

/// The text with spaces in place of comments, strings and characters. Length and lines do not change.
fn without_prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let prose = prose_length(rest, out.chars().next_back());
        if prose == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..prose].chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = &rest[prose..];
        }
    }
    out
}

/// The number of bytes at the start of `rest` that are a comment, a string or a character literal.
fn prose_length(rest: &str, before: Option<char>) -> usize {
    let inside_word = before.is_some_and(is_word);
    let until = |end: &str, from: usize| {
        rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until("*/", 2);
    }
    let prefix = if inside_word { 0 } else { rest.find(|c| !"bcr".contains(c)).unwrap_or(0) };
    let literal = &rest[prefix..];
    if rest[..prefix].contains('r') {
        let hashes = literal.find(|c| c != '#').unwrap_or(0);
        if literal[hashes..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), prefix + hashes + 1);
        }
        return 0;
    }
    if literal.starts_with('"') {
        return prefix + quoted_length(literal, '"');
    }
    // 'a' is a character and 'a is a lifetime: a character has a closing quote after an escape or one character.
    if let Some(inner) = literal.strip_prefix('\'') {
        let is_char = inner.starts_with('\\') || inner.chars().nth(1) == Some('\'');
        return if is_char { prefix + quoted_length(literal, '\'') } else { 0 };
    }
    0
}

fn quoted_length(literal: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in literal.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    literal.len()
}

/// The items with `#[cfg(test)]` or `#[cfg(all(test, …))]`, including the attribute. `code` must be the result of
/// [`without_prose`].
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for attribute in ["#[cfg(test)]", "#[cfg(all(test,"] {
        for (start, _) in code.match_indices(attribute) {
            let body = code[start..].find(']').map_or(code.len(), |at| start + at + 1);
            items.push(start..(item_end(code, body) + 1).min(code.len()));
        }
    }
    items
}

/// The end of the item that begins at `from`: after its `;` or its closing brace.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0usize;
    for (at, c) in code[from..].char_indices() {
        match c {
            ';' if depth == 0 => return from + at,
            '{' => depth += 1,
            '}' if depth <= 1 => return from + at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The shipped code of a text: without comments and strings, and without items for tests.
fn shipped(text: &str) -> String {
    let mut code = without_prose(text);
    for item in test_items(&code) {
        let blank: String =
            code[item.clone()].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        code.replace_range(item, &blank);
    }
    code
}

/// The code, followed by the paths of each `use a::{b, c::d};` as `a::b; a::c::d;`.
fn flatten_uses(code: &str) -> String {
    let mut flat = code.to_owned();
    for (at, _) in code.match_indices("use ") {
        let Some(end) = code[at..].find(';') else { continue };
        let tree: String = code[at + 4..at + end].split_whitespace().collect::<Vec<_>>().join("");
        flatten_tree("", &tree, &mut flat);
    }
    flat
}

fn flatten_tree(prefix: &str, tree: &str, out: &mut String) {
    let Some((head, group)) = tree.split_once('{') else {
        out.push_str(&format!("\n{prefix}{tree};"));
        return;
    };
    let inner = group.strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten_tree(&format!("{prefix}{head}"), &inner[start..at], out);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Whether `code` contains `name` as a whole path.
fn mentions(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(|c| is_word(c) || (c == ':' && !name.contains("::now")))
            && !after.is_some_and(is_word)
            // The name of a crate without `::` may be a field or a word, and does not count.
            && (name.contains("::") || code[at + name.len()..].starts_with("::"))
    })
}

/// The declared types, modules and functions, each with its keyword.
fn declared(code: &str) -> Vec<(&'static str, String)> {
    let mut names = Vec::new();
    for keyword in ["struct", "enum", "trait", "type", "mod", "fn"] {
        for (at, _) in code.match_indices(keyword) {
            let rest = &code[at + keyword.len()..];
            let starts = !code[..at].chars().next_back().is_some_and(is_word);
            if starts && rest.starts_with(' ') {
                names.push((keyword, first_word(rest.trim_start())));
            }
        }
    }
    names
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

fn snake_words(name: &str) -> Vec<String> {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
    };
    name.split('_').map(capital).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folder` whose names end with `ends`, as paths from the root of the project, sorted.
fn files(folder: &str, ends: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.map(|entry| entry.expect("a readable folder").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.to_string_lossy().ends_with(ends) {
                found.push(relative(&entry));
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(PathBuf::from(path))).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Whether a file contains only unit tests: `tests.rs`, or a file below `tests/`.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

// ---------------------------------------------------------------------------------------------
// The rules on the files of the project
// ---------------------------------------------------------------------------------------------

#[track_caller]
fn assert_clean(paths: &[String], rule: impl Fn(&str, &str) -> Vec<String>) {
    assert!(!paths.is_empty(), "no files to check");
    let complaints: Vec<String> = paths
        .iter()
        .flat_map(|path| {
            let complaints = rule(path, &read(path));
            complaints.into_iter().map(move |complaint| format!("{path}: {complaint}"))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn shipped_files() -> Vec<String> {
    files("src", ".rs").into_iter().filter(|path| !is_test_file(path)).collect()
}

#[test]
fn only_io_files_use_impure_paths() {
    assert_clean(&shipped_files(), |path, text| purity_complaints(path, &shipped(text)));
}

#[test]
fn every_file_has_a_header() {
    assert_clean(&shipped_files(), header_complaints);
}

#[test]
fn files_are_short() {
    assert_clean(&shipped_files(), |_, text| length_complaints(text, LONGEST_FILE));
}

#[test]
fn main_is_very_short() {
    assert_clean(&["src/main.rs".to_owned()], |_, text| length_complaints(text, 100));
}

#[test]
fn names_contain_no_banned_words() {
    assert_clean(&files("src", ".rs"), |path, text| name_complaints(path, &without_prose(text)));
}

#[test]
fn no_file_contains_a_path_of_a_developers_computer() {
    let mut paths: Vec<String> = ["README.md", "Cargo.toml"].map(str::to_owned).into();
    for folder in ["src", "tests", "cross", "systemd", ".ci"] {
        paths.extend(files(folder, "").into_iter().filter(|p| root().join(p).is_file()));
    }
    // The files that `tests/fuzz/run.sh` creates are not part of the project.
    paths.retain(|path| {
        !["target", "corpus", "artifacts"].iter().any(|f| path.contains(&format!("fuzz/{f}")))
    });
    paths.retain(|path| fs::read_to_string(root().join(path)).is_ok());
    assert_clean(&paths, |_, text| place_complaints(text));
}

#[test]
fn the_readme_and_ci_run_the_same_test_command() {
    use std::os::unix::fs::PermissionsExt;
    assert!(read("README.md").contains("\ncross/setup.sh && cross/test.sh\n"));
    let ci = read(".ci/run");
    assert!(ci.contains("\ncross/setup.sh --go\n") && ci.contains("cross/test.sh\n"), "{ci}");
    for script in ["cross/setup.sh", "cross/test.sh", ".ci/run"] {
        let mode = fs::metadata(root().join(script)).expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} must be executable");
        assert!(read(script).contains("\nset -euo pipefail\n"), "{script}");
    }
}

#[test]
fn scripts_pass_shellcheck() {
    let mut scripts =
        [".ci/run", "tests/fuzz/run.sh", "tests/page/run"].map(str::to_owned).to_vec();
    scripts.extend(files("cross", ".sh"));
    assert!(scripts.len() > 12, "{scripts:?}");
    let shellcheck = Command::new("shellcheck")
        .args(["--external-sources", "--format=gcc"])
        .args(&scripts)
        .current_dir(root())
        .output()
        .expect("cross/setup.sh installs shellcheck");
    let complaints = String::from_utf8_lossy(&shellcheck.stdout);
    assert!(shellcheck.status.success(), "\n{complaints}");
}

#[test]
fn no_crate_has_a_forbidden_dependency() {
    let crates = files("src", "/Cargo.toml");
    let listed: Vec<String> = FORBIDDEN.iter().map(|(at, _)| format!("{at}/Cargo.toml")).collect();
    for manifest in &crates {
        assert!(listed.contains(manifest), "{manifest}: add an entry to FORBIDDEN");
    }
    for (at, forbidden) in FORBIDDEN {
        let manifest = format!("{at}/Cargo.toml");
        assert!(!dependencies(&read(&manifest)).is_empty(), "{manifest}: no dependencies to check");
        assert_clean(&[manifest], |_, text| dependency_complaints(text, forbidden));
    }
}

#[test]
fn dependencies_have_no_default_features() {
    let mut manifests = files("src", "/Cargo.toml");
    manifests.push("Cargo.toml".to_owned());
    assert_clean(&manifests, |_, text| feature_complaints(text));
}

#[test]
fn every_exception_names_an_existing_file() {
    for (path, reason) in IMPURE_FILES {
        assert!(
            root().join(path).is_file(),
            "{path} does not exist: remove the exception ({reason})"
        );
    }
}

// ---------------------------------------------------------------------------------------------
// Each rule catches a bad sample and accepts a good one
// ---------------------------------------------------------------------------------------------

#[track_caller]
fn check(complaints: Vec<String>, expected: &[&str]) {
    assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
    for (complaint, part) in complaints.iter().zip(expected) {
        assert!(complaint.contains(part), "{complaint:?} does not say {part:?}");
    }
}

#[test]
fn impurity_is_caught() {
    let of = |path: &str, code: &str| purity_complaints(path, &shipped(code));
    check(of("src/media/a.rs", "let now = Instant::now();"), &["Instant::now"]);
    check(of("src/media/a.rs", "let now = std::time::Instant::now();"), &["Instant::now"]);
    check(of("src/media/a.rs", "use std::{fmt, fs, time::Duration};"), &["std::fs"]);
    check(of("src/media/a.rs", "use std::net::{IpAddr, TcpStream};"), &["TcpStream"]);
    check(
        of("src/media/a.rs", "use gstreamer as gst;\nuse gstreamer::prelude::*;"),
        &["gstreamer"],
    );
    check(of("src/media/a.rs", "use std::net::IpAddr; let gstreamer = 1;"), &[]);
    check(of("src/media/a.rs", "// std::fs\nlet s = \"std::fs \\\" std::fs\"; let c = '\"';"), &[]);
    check(of("src/media/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }"), &[]);
    check(of("src/media/a.rs", "#[cfg(test)]\nuse std::net::IpAddr;\nuse std::fs;"), &["std::fs"]);
    check(of("src/media/io/a.rs", "use std::fs;"), &[]);
    check(of("src/config/io.rs", "use std::fs;"), &[]);
    check(of("src/cli/run.rs", "use std::fs;"), &[]);
}

#[test]
fn a_missing_header_is_caught() {
    let of = |text: &str| header_complaints("src/a.rs", text);
    check(of("//! Does it.\n//!\n//! Does not: more.\n\nuse x;"), &[]);
    check(of("//! Does it.\n//!\n//! Does not: more,\n//! nor less.\nuse x;"), &[]);
    check(of("use x;"), &["open with"]);
    check(of("// Does it.\n//! Does not: more."), &["open with"]);
    check(of("//! Does it.\n\nuse x;"), &["Does not:"]);
    check(of("//! Does not: more.\n//!\n//! And more."), &["Does not:"]);
}

#[test]
fn a_long_file_is_caught() {
    check(length_complaints(&"x\n".repeat(401), 400), &["401 lines"]);
    check(length_complaints(&"x\n".repeat(400), 400), &[]);
    let tested = format!("{}#[cfg(test)]\nmod t {{\n{}}}\n", "x\n".repeat(400), "y\n".repeat(300));
    check(length_complaints(&tested, 400), &[]);
    check(length_complaints(&format!("{tested}z\n"), 400), &["401 lines"]);
}

#[test]
fn a_banned_word_in_a_name_is_caught() {
    let of = |code: &str| name_complaints("src/media/queue.rs", code);
    check(of("pub struct CameraManager;"), &["Manager"]);
    check(of("enum HttpUtil {}"), &["Util"]);
    check(of("pub(crate) mod helpers;"), &["Helpers"]);
    check(of("fn get_camera() {}"), &["get_"]);
    check(of("struct SegData;"), &[]);
    check(of("struct Managerial; struct Database; fn get() {} fn parse_base() {}"), &[]);
    check(name_complaints("src/media/utils.rs", ""), &["Utils"]);
}

#[test]
fn a_forbidden_dependency_is_caught() {
    let of = |manifest: &str| dependency_complaints(manifest, &["media", "gstreamer"]);
    check(of("[dependencies]\nbytes.workspace = true\nmedia.workspace = true"), &["`media`"]);
    check(
        of("[dev-dependencies]\nlivepeer-media = { path = \"../media\" }"),
        &["`livepeer-media`"],
    );
    check(of("[dependencies]\npictures = { package = \"livepeer-media\" }"), &["`pictures`"]);
    check(of("[target.'cfg(unix)'.build-dependencies]\ngstreamer-app = \"1\""), &["gstreamer-app"]);
    check(of("[dependencies.gstreamer]\nversion = \"1\""), &["`gstreamer`"]);
    check(of("[features]\nmedia = []\n[dependencies]\n# media = \"1\"\nmediation = \"1\""), &[]);
}

#[test]
fn a_default_feature_is_caught() {
    check(
        feature_complaints("[dependencies]\na = \"1\"\nb = { version = \"1\" }"),
        &["`a`", "`b`"],
    );
    check(feature_complaints("[dependencies]\na.workspace = true\nb = { path = \"b\" }"), &[]);
    check(
        feature_complaints("[dependencies]\na = { version = \"1\", default-features = false }"),
        &[],
    );
}

#[test]
fn a_path_of_a_developers_computer_is_caught() {
    check(place_complaints(concat!("ok\ncd /wo", "rk/src")), &["line 2"]);
    check(place_complaints("network/path and work/it"), &[]);
}
