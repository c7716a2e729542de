//! The parts of payments that a gateway hands on without a look: ticket parameters, tickets, the seal.
//!
//! These messages hold what go-livepeer's hold (`net.TicketParams`, `net.Payment`), as far as it is checked
//! here: a payment has its tickets under the same number, so that a gateway can count them.
//!
//! An `OrchestratorInfo` ends in a seal: a field that no gateway knows, with a signature over all bytes
//! before it. A gateway that decodes the info and encodes it again loses or breaks it, and the signer says so.
//!
//! Does not: check anything but the seal.

use bytes::Bytes;
use prost::Message;

use crate::money::key::{self, ORCHESTRATOR, Purpose, SIGNATURE};
use livepeer_gateway::orchestrator::proto::PriceInfo;

/// Field 2047, a length-delimited one: its key and its length, both varints.
const SEAL: [u8; 3] = [0xfa, 0x7f, SIGNATURE as u8];

/// What a ticket must be made from; an orchestrator proves its own by `tag`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TicketParams {
    /// The orchestrator's address.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) recipient: Bytes,
    /// What a ticket is worth in the mean, in wei.
    #[prost(uint64, tag = "2")]
    pub(crate) value: u64,
    /// Tells these parameters from all others.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) rand_hash: Bytes,
    /// Until when they are good, in ms since 1970.
    #[prost(uint64, tag = "6")]
    pub(crate) expires: u64,
    /// The orchestrator's proof that it made them, for this price and this sender.
    #[prost(bytes = "bytes", tag = "9")]
    pub(crate) tag: Bytes,
}

/// Tickets.
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

/// What tells one ticket of a payment from the others.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ticket {
    /// Its number, from 1 for fresh parameters.
    #[prost(uint32, tag = "1")]
    pub(crate) nonce: u32,
    /// Over the payment and the nonce.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) signature: Bytes,
}

impl Payment {
    /// The same with `count` tickets after the nonce `after`, signed by its sender.
    pub(crate) fn with_tickets(self, after: u32, count: u32) -> Self {
        let signed = |nonce| {
            let signature = key::sign(Purpose::Ticket, &self.sender, &self.content(nonce)).into();
            Ticket { nonce, signature }
        };
        let tickets = (1..=count).map(|nth| signed(after.saturating_add(nth))).collect();
        Self { tickets, ..self }
    }

    /// Whether its sender signed this ticket.
    pub(crate) fn is_signed(&self, ticket: &Ticket) -> bool {
        key::verify(Purpose::Ticket, &self.sender, &self.content(ticket.nonce), &ticket.signature)
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

/// The info has lost its seal, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenSeal;

/// Seals the bytes of an info.
pub(crate) fn seal(mut info: Vec<u8>) -> Vec<u8> {
    let signature = key::sign(Purpose::Info, &ORCHESTRATOR, &info);
    info.extend_from_slice(&SEAL);
    info.extend_from_slice(&signature);
    info
}

/// Whether an info is byte for byte as it was sealed.
pub(crate) fn check_seal(info: &[u8]) -> Result<(), BrokenSeal> {
    let (rest, signature) = info.split_last_chunk::<SIGNATURE>().ok_or(BrokenSeal)?;
    let content = rest.strip_suffix(&SEAL).ok_or(BrokenSeal)?;
    if key::verify(Purpose::Info, &ORCHESTRATOR, content, signature) {
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
    fn a_seal_survives_forwarding_but_no_encoding() {
        let info = OrchestratorInfo { transcoder: "https://o:1".into(), ..Default::default() };
        let sealed = seal(info.encode_to_vec());
        assert_eq!(check_seal(&sealed), Ok(()));
        // It is still an info.
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
