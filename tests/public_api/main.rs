//! Checks that `tests/public_api/livepeer-gateway.txt` lists the present public API of the crate `livepeer-gateway`.
//!
//! The list is made from the sources: `syn` parses them, starting at `lib.rs` and following `pub mod` and `pub use`, in
//! less than a second. rustdoc's JSON would show the API as the compiler sees it, but its format changes every few Rust
//! versions, it needs a nightly compiler, and it builds all dependencies again, which took 50 s on 2 cores. Where the
//! sources alone do not show the API (macros that make items, `*` imports, conditions other than `cfg(test)`), the test
//! panics, so the list has no gap.
//!
//! Does not: judge whether a change of the API is compatible.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::wildcard_enum_match_arm, reason = "syn's enums may grow")]

mod list;
mod text;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use list::{Listed, list};
use tree::Tree;

const LIST: &str = "tests/public_api/livepeer-gateway.txt";
const COMMAND: &str = "UPDATE_DOCS=1 cargo test --test public_api";
/// The maximum number of lines of a difference that are shown.
const SHOWN: usize = 40;

fn listed() -> Listed {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway");
    list(&Tree::read(&|path| fs::read_to_string(folder.join(path)).ok()))
}

#[test]
fn the_list_of_the_public_api_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST);
    let head = format!("# The public API of livepeer-gateway. `{COMMAND}` writes this file.\n");
    let current = format!("{head}{}\n", listed().lines.join("\n"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, current).expect(LIST);
        return;
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    let changes = difference(&written, &current);
    assert!(
        written == current,
        "{LIST} is out of date; run {COMMAND}
{changes}"
    );
}

#[test]
fn every_type_of_the_public_api_can_be_named() {
    let nameless = listed().nameless;
    assert!(nameless.is_empty(), "types without a public path:\n{}", nameless.join("\n"));
}

/// The removed and the new lines.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) =
        (old.lines().collect(), new.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let mut lines: Vec<String> =
        gone.chain(new.difference(&old).map(|line| format!("+ {line}"))).collect();
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines.join("\n")
}

// ---------------------------------------------------------------------------------------------
// The list of a small crate
// ---------------------------------------------------------------------------------------------

/// Lists a crate of these files.
fn listed_of(files: &[(&str, &str)]) -> Listed {
    let text = |path: &str| files.iter().find(|(name, _)| *name == path);
    list(&Tree::read(&|path| text(path).map(|(_, text)| (*text).to_owned())))
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(listed_of(&[("lib.rs", text)]).lines, expected, "{text}");
}

#[test]
fn only_items_with_a_public_path_are_listed() {
    check("pub const A: u8 = 1; pub(crate) const B: u8 = 2; const C: u8 = 3;", &["const A: u8"]);
    check("mod a { pub fn f() {} }", &[]);
    check("pub mod a { fn f() {} }", &["mod a"]);
    check("#[cfg(test)] pub mod tests { pub fn f() {} }", &[]);
    check("pub struct A { pub b: u8, c: u8 }", &["struct A { .. }", "field A::b: u8"]);
    check(
        "pub struct A(pub u8); impl A { pub fn f(&self) {} fn g() {} }",
        &["struct A", "field A::0: u8", "fn A::f(&self)"],
    );
}

#[test]
fn an_item_is_listed_at_its_shortest_public_path() {
    check("mod a { pub fn f() {} } pub use a::f as g;", &["fn g()"]);
    check(
        "pub mod a { pub mod f { pub fn f() {} } pub use f::f; } pub use a::f::f;",
        &["mod a", "mod a::f", "use a::f = f", "use a::f::f = f", "fn f()"],
    );
    check("pub use other::Thing;", &["use Thing = other::Thing"]);
}

#[test]
fn modules_in_other_files_are_listed() {
    let files = [
        ("lib.rs", "mod a; pub mod b; pub use a::A;"),
        ("a.rs", "mod more; pub enum A { One(u8), Two { x: u8 }, Three }"),
        ("a/more.rs", "use super::A; impl A { pub const N: u8 = 1; } impl Drop for A {}"),
        ("b/mod.rs", "#[derive(Clone, Debug)] pub struct B;"),
    ];
    let expected = [
        "enum A",
        "impl Drop for A",
        "const A::N: u8",
        "variant A::One(u8)",
        "variant A::Three",
        "variant A::Two { x: u8 }",
        "mod b",
        "struct b::B",
        "impl Clone, Debug for b::B",
    ];
    assert_eq!(listed_of(&files).lines, expected);
}

#[test]
fn declarations_have_the_spacing_of_the_sources() {
    for line in [
        "async fn f<'a, T: Into<String> + 'a>(a: &'a mut T, b: [u8; 4]) -> Result<(), Vec<T>> where T: Send",
        "fn f(x: &dyn Fn(&str) -> Option<u8>, y: impl Iterator<Item = u8>) -> impl Send + use<'_>",
        "const fn f(x: std::io::Error, y: (u8, u16)) -> &'static str",
    ] {
        check(&format!("pub {line} {{ todo!() }}"), &[line]);
    }
    check("pub fn f(mut a: u8, /** doc */ b: u8,) {}", &["fn f(a: u8, b: u8)"]);
    check(
        "pub trait T: Send { type A: Copy; fn f(self); fn g(&mut self) {} } impl T for &str {}",
        &[
            "trait T: Send",
            "impl T for &str",
            "type T::A: Copy",
            "fn T::f(self)",
            "fn T::g(&mut self) { .. }",
        ],
    );
}

#[test]
fn a_public_type_without_a_public_path_is_reported() {
    let nameless = |text: &str| listed_of(&[("lib.rs", text)]).nameless;
    let text = "mod a { pub struct A; } use a::A;";
    assert_eq!(nameless(&format!("{text} pub fn f() -> Option<A> {{ None }}")), ["f: A of a"]);
    assert_eq!(nameless(&format!("{text} pub enum E {{ A(A) }}")), ["E::A: A of a"]);
    assert_eq!(nameless(&format!("{text} pub struct S {{ a: A, pub b: u8 }}")), [""; 0]);
    assert_eq!(nameless("mod a { pub struct A; } pub use a::A; pub fn f(a: A) {}"), [""; 0]);
}

#[test]
#[should_panic(expected = "cannot follow")]
fn a_glob_import_of_public_items_panics() {
    listed_of(&[("lib.rs", "mod a { pub struct A; } pub use a::*;")]);
}

#[test]
fn a_difference_shows_only_the_changed_lines() {
    assert_eq!(difference("a\nb\nc\n", "a\nc\nd\n"), "- b\n+ d");
}
