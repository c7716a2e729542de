//! The audio codecs that a stream can carry.
//!
//! Does not: encode.

/// How audio is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioCodec {
    /// Opus: better quality at low bitrates, and less delay than AAC.
    #[default]
    Opus,
    /// AAC, for readers that do not support Opus.
    Aac,
}
