//! The key of the sandbox's payer: fixed, known to everybody, worth nothing.
//!
//! A real signer signs with an Ethereum key, and everybody can verify that. Here both sides hold this one
//! key, and a signature is an HMAC that is as long as a real one (65 bytes). What is signed is named, so
//! that a signature over one thing is never taken for one over another.
//!
//! Does not: protect anything.

use std::fmt::Write;

use ring::hmac;

/// Known to everybody.
const SECRET: &[u8] = b"livepeer-edge sandbox payer, worth nothing";
/// The length of a signature: r, s and v of an Ethereum one.
pub(crate) const SIGNATURE: usize = 65;
/// The payer's address.
pub(crate) const PAYER: [u8; 20] = *b"sandbox-payer-000001";
/// The orchestrator's address.
pub(crate) const ORCHESTRATOR: [u8; 20] = *b"sandbox-orchestrator";

/// What a signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matter {
    /// The payer's address, for `GetOrchestrator`.
    Address,
    /// The signer's state of a session.
    State,
    /// The credentials of a segment.
    Segment,
    /// The tickets of a payment.
    Tickets,
    /// The bytes of an `OrchestratorInfo`.
    Info,
}

/// Signs `bytes`.
pub(crate) fn sign(matter: Matter, bytes: &[u8]) -> Vec<u8> {
    let mut signature = tag(matter, bytes).as_ref().to_vec();
    // Where Ethereum has its recovery id.
    signature.resize(SIGNATURE, 27);
    signature
}

/// Whether `signature` is one over `bytes`.
pub(crate) fn verify(matter: Matter, bytes: &[u8], signature: &[u8]) -> bool {
    sign(matter, bytes) == signature
}

/// `0x` and hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        // A text takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The 20 bytes of an address as `hex` writes them.
pub(crate) fn address(text: &str) -> Option<[u8; 20]> {
    let digits =
        text.strip_prefix("0x").filter(|digits| digits.is_ascii() && digits.len() == 40)?;
    let mut address = [0; 20];
    for (at, byte) in address.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(address)
}

fn tag(matter: Matter, bytes: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, SECRET));
    context.update(match matter {
        Matter::Address => b"address:",
        Matter::State => b"state:",
        Matter::Segment => b"segment:",
        Matter::Tickets => b"tickets:",
        Matter::Info => b"info:",
    });
    context.update(bytes);
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_one_thing() {
        let signature = sign(Matter::Address, &PAYER);
        assert_eq!(signature.len(), SIGNATURE);
        assert!(verify(Matter::Address, &PAYER, &signature));
        assert!(!verify(Matter::State, &PAYER, &signature));
        assert!(!verify(Matter::Address, &ORCHESTRATOR, &signature));
        assert!(!verify(Matter::Address, &PAYER, &signature[..64]));
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        assert_eq!(address(&hex(&PAYER)), Some(PAYER));
        for bad in ["", "0x", "0x12", &hex(&PAYER)[2..], &"0xzz".repeat(11), &hex(&[7; 21])] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
