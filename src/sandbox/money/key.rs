//! The keys of the sandbox's payers: fixed, public, and of no value.
//!
//! A real signer signs with an Ethereum key, and anyone can verify the signature. Here signer and verifier share the
//! keys, and a signature is an HMAC as long as a real signature (65 bytes). It covers the signer's address and the kind
//! of the signed bytes, so that a signature of one kind is not valid for another.
//!
//! Does not: provide security; the secret is public.

use std::fmt::Write;

use ring::hmac;

/// The public secret.
const SECRET: &[u8] = b"livepeer-edge sandbox payer, worth nothing";
/// The length of a signature: r, s and v of an Ethereum signature.
pub(crate) const SIGNATURE: usize = 65;
/// The address of the first payer.
#[cfg(test)]
pub(crate) const PAYER: [u8; 20] = payer(0);
/// The orchestrator's address.
pub(crate) const ORCHESTRATOR: [u8; 20] = *b"sandbox-orchestrator";

/// The kind of signed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignaturePurpose {
    /// The payer's address, for `GetOrchestrator`.
    Address,
    /// The signer's state of a session.
    State,
    /// The credentials of a segment.
    Segment,
    /// A ticket of a payment.
    Ticket,
    /// The bytes of an `OrchestratorInfo`.
    Info,
}

/// The address of the payer with this key number.
pub(crate) const fn payer(number: u8) -> [u8; 20] {
    let [hundreds, tens, ones] = [number / 100, number / 10 % 10, number % 10];
    let mut address = *b"sandbox-payer-000000";
    let [.., hundred, ten, one] = &mut address;
    (*hundred, *ten, *one) = (b'0' + hundreds, b'0' + tens, b'0' + ones);
    address
}

/// Signs `bytes` with the key of this address.
pub(crate) fn sign(matter: SignaturePurpose, address: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut signature = tag(matter, address, bytes).as_ref().to_vec();
    // The last byte of an Ethereum signature is the recovery id, 27 or 28.
    signature.resize(SIGNATURE, 27);
    signature
}

/// Whether `signature` is valid for `bytes` and the key of this address.
pub(crate) fn verify(
    matter: SignaturePurpose,
    address: &[u8],
    bytes: &[u8],
    signature: &[u8],
) -> bool {
    sign(matter, address, bytes) == signature
}

/// The bytes as `0x` and hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Parses an address in the form of [`hex`].
pub(crate) fn address(text: &str) -> Option<[u8; 20]> {
    let digits =
        text.strip_prefix("0x").filter(|digits| digits.is_ascii() && digits.len() == 40)?;
    let mut address = [0; 20];
    for (at, byte) in address.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(address)
}

fn tag(matter: SignaturePurpose, address: &[u8], bytes: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, SECRET));
    context.update(address);
    context.update(match matter {
        SignaturePurpose::Address => b"address:",
        SignaturePurpose::State => b"state:",
        SignaturePurpose::Segment => b"segment:",
        SignaturePurpose::Ticket => b"ticket:",
        SignaturePurpose::Info => b"info:",
    });
    context.update(bytes);
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_valid_for_one_key_and_purpose() {
        let signature = sign(SignaturePurpose::Address, &PAYER, &PAYER);
        assert_eq!(signature.len(), SIGNATURE);
        assert!(verify(SignaturePurpose::Address, &PAYER, &PAYER, &signature));
        assert!(!verify(SignaturePurpose::State, &PAYER, &PAYER, &signature));
        assert!(!verify(SignaturePurpose::Address, &PAYER, &ORCHESTRATOR, &signature));
        assert!(!verify(SignaturePurpose::Address, &payer(1), &PAYER, &signature));
        assert!(!verify(SignaturePurpose::Address, &PAYER, &PAYER, &signature[..64]));
    }

    #[test]
    fn each_key_number_has_another_address() {
        assert_eq!((&payer(0), &payer(205)), (b"sandbox-payer-000000", b"sandbox-payer-000205"));
    }

    #[test]
    fn an_address_is_the_same_after_printing_and_parsing() {
        assert_eq!(address(&hex(&PAYER)), Some(PAYER));
        for bad in ["", "0x", "0x12", &hex(&PAYER)[2..], &"0xzz".repeat(11), &hex(&[7; 21])] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
