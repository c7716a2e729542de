//! The codecs of audio that a stream may carry.
//!
//! Does not: encode.

/// How audio is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioCodec {
    /// Opus: better at low bitrates, and with less delay.
    #[default]
    Opus,
    /// AAC, for readers that know no Opus.
    Aac,
}
