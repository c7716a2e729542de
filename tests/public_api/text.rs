//! Formats Rust tokens as one line.
//!
//! Does not: break lines.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;

/// Returns the tokens as text, without attributes and doc comments, with the spacing of rustfmt.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let without_docs = without_attributes(tokens.to_token_stream());
    spaced(&without_docs.to_string())
}

/// Removes attributes. Doc comments are attributes, too.
fn without_attributes(tokens: TokenStream) -> TokenStream {
    let mut left = Vec::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == '#' => drop(tokens.next()),
            TokenTree::Group(group) => {
                let inner = without_attributes(group.stream());
                left.push(TokenTree::Group(Group::new(group.delimiter(), inner)));
            }
            token => left.push(token),
        }
    }
    left.into_iter().collect()
}

/// Removes all spaces except between two words, then adds those that rustfmt writes.
fn spaced(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
    let mut dense = String::new();
    for word in text.split_whitespace() {
        let joins = dense.ends_with(is_word) && word.starts_with(is_word);
        dense.push_str(if joins { " " } else { "" });
        dense.push_str(word);
    }
    let dense = dense.replace(",)", ")").replace(",>", ">");
    let mut line = String::new();
    let mut rest = dense.as_str();
    while let Some(c) = rest.chars().next() {
        let sign = ["->", "::"].into_iter().find(|sign| rest.starts_with(sign));
        let (sign, behind) = rest.split_at(sign.map_or(c.len_utf8(), str::len));
        let spaced = match sign {
            "->" | "+" | "=" => format!(" {sign} "),
            ":" | "," | ";" => format!("{sign} "),
            ")" | ">" if behind.starts_with(is_word) => format!("{sign} "),
            _ => sign.to_owned(),
        };
        line.push_str(&spaced);
        rest = behind;
    }
    line.trim_end_matches([',', ' ']).to_owned()
}
