//! Writes and reads the lines of a ledger's file.
//!
//! ```text
//! livepeer-edge ledger 1
//! 2026112914 held 6000 <TAB> orchestrator <TAB> model <TAB> payments <TAB> amount …
//! 2026112914 added 500
//! ```
//!
//! A line is one write: the amounts of the items since the line before, and the amount that may be spent until the next
//! line. A line without its newline was torn by a power cut, and does not count: nothing was released for it.
//!
//! Does not: add anything up.

use super::{Item, Stamp, Total};

/// The first line.
pub(super) const HEAD: &str = "livepeer-edge ledger 1\n";

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Amounts that were spent, and the reserve until the next line.
    Spent { stamp: Stamp, held: u128, items: Vec<(Item, Total)> },
    /// An amount that was added to the limit of the period.
    Added { stamp: Stamp, amount: u128 },
}

impl Line {
    /// The line's text, with its newline.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Added { stamp, amount } => format!("{stamp} added {amount}\n"),
            Self::Spent { stamp, held, items } => {
                let mut text = format!("{stamp} held {held}");
                for (Item { at, what }, Total { count, amount }) in items {
                    text.push_str(&format!("\t{at}\t{what}\t{count}\t{amount}"));
                }
                text.push('\n');
                text
            }
        }
    }

    /// Reads a line, without its newline.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut head = fields.next()?.split(' ');
        let stamp = Stamp::parse(head.next()?)?;
        let (word, number) = (head.next()?, head.next()?.parse().ok()?);
        match word {
            "added" => Some(Self::Added { stamp, amount: number }),
            "held" => {
                let mut items = Vec::new();
                while let Some(at) = fields.next() {
                    let item = Item::new(at, fields.next()?);
                    let (count, amount) = (fields.next()?, fields.next()?);
                    let total = Total { count: count.parse().ok()?, amount: amount.parse().ok()? };
                    items.push((item, total));
                }
                Some(Self::Spent { stamp, held: number, items })
            }
            _ => None,
        }
    }
}

/// The lines of a file, and how many were malformed. A last line without its newline is torn, and not counted.
pub(super) fn lines(text: &str) -> (Vec<Line>, usize) {
    let complete = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    let (mut lines, mut malformed) = (Vec::new(), 0);
    for line in complete.split('\n').filter(|line| !line.is_empty() && *line != HEAD.trim_end()) {
        match Line::parse(line) {
            Some(line) => lines.push(line),
            None => malformed += 1,
        }
    }
    (lines, malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent() -> Line {
        let total = Total { count: 3, amount: u128::MAX };
        let items =
            vec![(Item::new("o.example:8935", "a model"), total), (Item::new("", ""), total)];
        Line::Spent { stamp: Stamp::parse("2026112914").unwrap(), held: 7, items }
    }

    #[test]
    fn lines_read_back() {
        let added = Line::Added { stamp: Stamp::parse("2026112914").unwrap(), amount: 9 };
        let text = format!("{HEAD}{}{}", spent().text(), added.text());
        assert_eq!(lines(&text), (vec![spent(), added], 0));
    }

    #[test]
    fn a_torn_line_does_not_count_and_a_malformed_one_is_reported() {
        let text = spent().text();
        for end in 0..text.len() {
            assert_eq!(lines(&text[..end]), (Vec::new(), 0), "{end}");
        }
        for malformed in ["x", "2026112914", "2026112914 held", "2026112914 held -1", "\0\0\0"] {
            assert_eq!(lines(&format!("{malformed}\n")), (Vec::new(), 1), "{malformed:?}");
        }
        assert_eq!(lines("2026112914 held 1\ta\tb\t1\n").1, 1);
        assert_eq!(lines("2026112914 held 1\ta\tb\t1\t-2\n").1, 1);
    }
}
