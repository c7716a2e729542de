//! Reads what the kernel writes about this device's temperature and power.
//!
//! Does not: read files; the caller passes their texts.

use serde::Serialize;

/// The bits of the Raspberry Pi's `get_throttled` for now. The bits for the time since the boot are 16 places higher.
const THROTTLING: [(u32, &str); 4] = [
    (0, "under-voltage"),
    (1, "frequency capped"),
    (2, "throttled"),
    (3, "soft temperature limit"),
];

/// What slows a Raspberry Pi down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Throttling {
    /// Now.
    pub now: Vec<&'static str>,
    /// At some time since the boot.
    pub since_boot: Vec<&'static str>,
}

/// The temperature in degrees Celsius, from a text in thousandths.
pub(super) fn temperature(text: &str) -> Option<f64> {
    let celsius =
        text.trim().parse::<i32>().ok().map(|thousandths| f64::from(thousandths) / 1000.0);
    // A zone without a sensor reports nonsense.
    celsius.filter(|celsius| (-60.0..=200.0).contains(celsius))
}

/// The throttling, from a hexadecimal number of flags.
pub(super) fn throttling(text: &str) -> Option<Throttling> {
    let text = text.trim();
    let flags = u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()?;
    let named = |shift: u32| {
        let set = THROTTLING.iter().filter(|(bit, _)| flags & (1 << (bit + shift)) != 0);
        set.map(|(_, name)| *name).collect()
    };
    Some(Throttling { now: named(0), since_boot: named(16) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(temperature("54768\n"), Some(54.768));
        assert_eq!(temperature("-5000"), Some(-5.0));
        for text in ["", "hot", "99999999", "-274000"] {
            assert_eq!(temperature(text), None, "{text}");
        }
        let slow = throttling("50005\n").unwrap();
        assert_eq!(slow.now, ["under-voltage", "throttled"]);
        assert_eq!(slow.since_boot, ["under-voltage", "throttled"]);
        let good = throttling("0x0").unwrap();
        assert!(good.now.is_empty() && good.since_boot.is_empty());
        assert_eq!(throttling("no"), None);
    }
}
