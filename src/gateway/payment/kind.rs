//! The kinds of payments, and the price unit of each.
//!
//! | kind | `type` on the wire | price unit | the first pays for | repeated |
//! |---|---|---|---|---|
//! | lv2v | `lv2v` | 720p-pixel-seconds | 60 s ahead | while media flows |
//! | live | `live` | seconds | 10 s ahead | while media flows |
//! | fixed | `fixed` | fixed | the call | no |
//! | pixels | none, `inPixels` instead | – | the request | no |
//!
//! Numbers: go-livepeer `server/remote_signer.go`.
//!
//! Does not: decide when to pay; the schedule does.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::price::PriceUnit;

/// How a session is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentKind {
    /// Live video, by the pixel.
    Lv2v,
    /// A runner's session, by the second.
    Live,
    /// A runner's call, once.
    Fixed,
    /// A batch request of this many pixels, once.
    Pixels(NonZeroU32),
}

impl PaymentKind {
    /// The kind for a runner's price unit.
    pub(crate) fn of_unit(unit: PriceUnit) -> Self {
        match unit {
            PriceUnit::Seconds => Self::Live,
            PriceUnit::PixelSeconds720p => Self::Lv2v,
            PriceUnit::Fixed => Self::Fixed,
        }
    }

    /// The unit that a maximum price must have; `None` if the signer accepts no maximum.
    pub(crate) fn unit(self) -> Option<PriceUnit> {
        match self {
            Self::Lv2v => Some(PriceUnit::PixelSeconds720p),
            Self::Live => Some(PriceUnit::Seconds),
            Self::Fixed => Some(PriceUnit::Fixed),
            Self::Pixels(_) => None,
        }
    }

    /// The `type` of a request to the signer.
    pub(crate) fn wire_type(self) -> Option<&'static str> {
        match self {
            Self::Lv2v => Some("lv2v"),
            Self::Live => Some("live"),
            Self::Fixed => Some("fixed"),
            Self::Pixels(_) => None,
        }
    }

    /// The `inPixels` of a request to the signer.
    pub(crate) fn pixels(self) -> Option<u32> {
        match self {
            Self::Pixels(pixels) => Some(pixels.get()),
            Self::Lv2v | Self::Live | Self::Fixed => None,
        }
    }

    /// Whether a signer rounds the billed time up to whole seconds.
    pub(crate) fn is_in_whole_seconds(self) -> bool {
        self == Self::Live
    }

    /// The time that the first payment covers; `None` for a single payment.
    pub(crate) fn preload(self) -> Option<Duration> {
        match self {
            Self::Lv2v => Some(Duration::from_secs(60)),
            Self::Live => Some(Duration::from_secs(10)),
            Self::Fixed | Self::Pixels(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_kinds_belong_together() {
        for unit in [PriceUnit::Seconds, PriceUnit::PixelSeconds720p, PriceUnit::Fixed] {
            assert_eq!(PaymentKind::of_unit(unit).unit(), Some(unit));
        }
        let pixels = PaymentKind::Pixels(NonZeroU32::MIN);
        assert_eq!((pixels.wire_type(), pixels.pixels(), pixels.preload()), (None, Some(1), None));
        assert_eq!(
            (PaymentKind::Lv2v.wire_type(), PaymentKind::Lv2v.pixels()),
            (Some("lv2v"), None)
        );
    }
}
