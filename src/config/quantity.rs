//! Reads amounts with units: bit rates and durations.
//!
//! Does not: check ranges; the rows of keys do.

/// Units of bit rates, in bit/s.
const RATES: [(&str, u64); 4] = [("", 1), ("bit/s", 1), ("kbit/s", 1_000), ("Mbit/s", 1_000_000)];

/// Units of durations, in ms. A unit is required: `2` would be ambiguous.
const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000)];

/// Bits per second of `2 Mbit/s`, `1500kbit/s` or `2000000`.
pub(super) fn bit_rate(text: &str) -> Option<u64> {
    amount(text, &RATES)
}

/// Milliseconds of `2s`, `1.5 s` or `500ms`.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    amount(text, &TIMES)
}

/// A bit rate as a person would write it.
pub(super) fn show_bit_rate(rate: u64) -> String {
    show(rate, &RATES)
}

/// A duration as a person would write it.
pub(super) fn show_milliseconds(time: u64) -> String {
    show(time, &TIMES)
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // A billionth of the largest unit is exact enough, and keeps the arithmetic in integers.
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(*factor)?;
    whole.checked_add(fraction.parse::<u64>().ok()?.checked_mul(*factor)? / scale)
}

/// In the largest unit that needs no fraction.
fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| amount >= *factor && amount.is_multiple_of(*factor);
    let (unit, factor) = units.iter().rev().find(fits).unwrap_or(&("", 1));
    format!("{} {unit}", amount / factor).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&str) -> Option<u64>, text: &str, expected: Option<u64>) {
        assert_eq!(read(text), expected, "{text:?}");
    }

    #[test]
    fn bit_rates_are_read_with_and_without_a_unit() {
        check(bit_rate, "2 Mbit/s", Some(2_000_000));
        check(bit_rate, " 1500kbit/s ", Some(1_500_000));
        check(bit_rate, "2.5 Mbit/s", Some(2_500_000));
        check(bit_rate, "2000000", Some(2_000_000));
        check(bit_rate, "800 bit/s", Some(800));
        for bad in
            ["", "Mbit/s", "2 mbit/s", "2 MB/s", "-2 Mbit/s", "1e6", ".5 Mbit/s", "2. Mbit/s"]
        {
            check(bit_rate, bad, None);
        }
        check(bit_rate, "99999999999999999999", None);
        check(bit_rate, "18446744073709551615 Mbit/s", None);
        check(bit_rate, "1.2.3 Mbit/s", None);
    }

    #[test]
    fn durations_need_a_unit() {
        check(milliseconds, "2s", Some(2_000));
        check(milliseconds, "500 ms", Some(500));
        check(milliseconds, "1.5s", Some(1_500));
        check(milliseconds, "3 min", Some(180_000));
        check(milliseconds, "10m", Some(600_000));
        for bad in ["2", "2 sec", "two s", "0x2 s", "1.s", "١s"] {
            check(milliseconds, bad, None);
        }
    }

    #[test]
    fn amounts_are_shown_in_the_largest_whole_unit() {
        assert_eq!(show_bit_rate(100_000), "100 kbit/s");
        assert_eq!(show_bit_rate(50_000_000), "50 Mbit/s");
        assert_eq!(show_bit_rate(1_234), "1234 bit/s");
        assert_eq!(show_milliseconds(1_000), "1 s");
        assert_eq!(show_milliseconds(1_500), "1500 ms");
        assert_eq!(show_milliseconds(120_000), "2 min");
    }
}
