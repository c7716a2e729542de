//! The messages that a gateway forwards without reading them: ticket parameters and payments. Also the seal of an
//! `OrchestratorInfo`.
//!
//! Of the fields in go-livepeer's messages (`net.TicketParams`, `net.Payment`), only those that the sandbox checks are
//! here. Tickets have the same field number as in go-livepeer, so that a gateway can count them.
//!
//! An `OrchestratorInfo` ends in a seal: a field unknown to gateways, with a signature over all bytes before it. If a
//! gateway decodes the info and encodes it again, the seal is lost or invalid, and the signer refuses the info.
//!
//! Does not: check ticket parameters; the ticket issuer does.

use bytes::Bytes;
use prost::Message;

use crate::money::key::{self, ORCHESTRATOR, SIGNATURE, SignaturePurpose};
use livepeer_gateway::orchestrator::proto::PriceInfo;

/// The key (field 2047, length-delimited) and the length of the seal, both varints.
const SEAL: [u8; 3] = [0xfa, 0x7f, SIGNATURE as u8];

/// The parameters for making tickets.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TicketParams {
    /// The orchestrator's address.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) recipient: Bytes,
    /// The value of a winning ticket in wei, big-endian. Every ticket wins, so this is also the expected value.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) face_value: Bytes,
    /// The probability that a ticket wins, in units of 2^-256, big-endian.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) win_prob: Bytes,
    /// Identifies the parameters.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) rand_hash: Bytes,
    /// The time at which the parameters expire, in ms since 1970.
    #[prost(uint64, tag = "6")]
    pub(crate) expires: u64,
    /// The orchestrator's HMAC over the parameters, the sender and the price.
    #[prost(bytes = "bytes", tag = "9")]
    pub(crate) tag: Bytes,
}

impl TicketParams {
    /// Parameters of tickets that always win.
    pub(crate) fn always_winning(wei: u64) -> Self {
        Self {
            face_value: Bytes::copy_from_slice(&wei.to_be_bytes()),
            win_prob: Bytes::from_static(&[0xff; 32]),
            ..Self::default()
        }
    }

    /// The expected value of a ticket, in wei; 0 if the parameters are malformed.
    pub(crate) fn value(&self) -> u64 {
        self.face_value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// A payment: tickets with the same parameters.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Payment {
    #[prost(message, optional, tag = "1")]
    pub(crate) params: Option<TicketParams>,
    /// The payer's address.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) sender: Bytes,
    /// The tickets, all made from the same parameters.
    #[prost(message, repeated, tag = "4")]
    pub(crate) tickets: Vec<Ticket>,
    /// The price that the payer agrees to.
    #[prost(message, optional, tag = "5")]
    pub(crate) expected_price: Option<PriceInfo>,
}

/// A ticket of a payment.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ticket {
    /// The number of the ticket, from 1 for new parameters.
    #[prost(uint32, tag = "1")]
    pub(crate) nonce: u32,
    /// The sender's signature over the payment and the nonce.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) signature: Bytes,
}

impl Payment {
    /// Replaces the tickets by `count` tickets that the sender signs, with nonces from `after` + 1.
    pub(crate) fn with_tickets(self, after: u32, count: u32) -> Self {
        let signed = |nonce| {
            let signature =
                key::sign(SignaturePurpose::Ticket, &self.sender, &self.content(nonce)).into();
            Ticket { nonce, signature }
        };
        let tickets = (1..=count).map(|nth| signed(after.saturating_add(nth))).collect();
        Self { tickets, ..self }
    }

    /// Whether the sender signed this ticket.
    pub(crate) fn is_signed(&self, ticket: &Ticket) -> bool {
        key::verify(
            SignaturePurpose::Ticket,
            &self.sender,
            &self.content(ticket.nonce),
            &ticket.signature,
        )
    }

    fn content(&self, nonce: u32) -> Vec<u8> {
        let ticket = Ticket { nonce, signature: Bytes::new() };
        Self {
            params: self.params.clone(),
            sender: self.sender.clone(),
            tickets: vec![ticket],
            expected_price: self.expected_price.clone(),
        }
        .encode_to_vec()
    }
}

/// The info has no seal, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenSeal;

/// Appends a seal to the bytes of an info.
pub(crate) fn seal(mut info: Vec<u8>) -> Vec<u8> {
    let signature = key::sign(SignaturePurpose::Info, &ORCHESTRATOR, &info);
    info.extend_from_slice(&SEAL);
    info.extend_from_slice(&signature);
    info
}

/// Fails unless an info has a valid seal.
pub(crate) fn check_seal(info: &[u8]) -> Result<(), BrokenSeal> {
    let (rest, signature) = info.split_last_chunk::<SIGNATURE>().ok_or(BrokenSeal)?;
    let content = rest.strip_suffix(&SEAL).ok_or(BrokenSeal)?;
    if key::verify(SignaturePurpose::Info, &ORCHESTRATOR, content, signature) {
        Ok(())
    } else {
        Err(BrokenSeal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepeer_gateway::orchestrator::proto::OrchestratorInfo;

    #[test]
    fn a_seal_is_valid_after_forwarding_and_invalid_after_encoding_again() {
        let info = OrchestratorInfo { transcoder: "https://o:1".into(), ..Default::default() };
        let sealed = seal(info.encode_to_vec());
        assert_eq!(check_seal(&sealed), Ok(()));
        // The sealed bytes are still a valid info.
        let read = OrchestratorInfo::decode(sealed.as_slice()).unwrap();
        assert_eq!(read, info);
        assert_eq!(check_seal(&read.encode_to_vec()), Err(BrokenSeal));
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(check_seal(&flipped), Err(BrokenSeal), "{at}");
            assert_eq!(check_seal(&sealed[..at]), Err(BrokenSeal), "{at}");
        }
    }
}
