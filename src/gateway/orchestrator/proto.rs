//! The protobuf messages of package `net` that a gateway needs, by field number (protocol.md, section 3).
//!
//! Unknown fields are dropped, so re-encoding a received message may lose data. A message to be forwarded (the
//! `OrchestratorInfo`, to the signer) is therefore kept as the received bytes.
//!
//! Does not: need `.proto` files or `protoc`.

#![allow(
    missing_docs,
    reason = "the names are the protocol's own; protocol.md section 3 explains them"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

/// The request for an `OrchestratorInfo`.
#[derive(Clone, PartialEq, Message)]
pub struct OrchestratorRequest {
    /// The payer's address, 20 bytes; empty off-chain.
    #[prost(bytes = "bytes", tag = "1")]
    pub address: Bytes,
    /// The signer's signature over that address; empty off-chain.
    #[prost(bytes = "bytes", tag = "2")]
    pub sig: Bytes,
    #[prost(message, optional, tag = "3")]
    pub capabilities: Option<Capabilities>,
    #[prost(bool, tag = "4")]
    pub ignore_capacity_check: bool,
}

/// What an orchestrator offers and demands. `ticket_params` is opaque.
#[derive(Clone, PartialEq, Message)]
pub struct OrchestratorInfo {
    /// The base URL for all HTTP calls.
    #[prost(string, tag = "1")]
    pub transcoder: String,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub ticket_params: Option<Bytes>,
    #[prost(message, optional, tag = "3")]
    pub price_info: Option<PriceInfo>,
    #[prost(bytes = "bytes", tag = "4")]
    pub address: Bytes,
    #[prost(message, optional, tag = "5")]
    pub capabilities: Option<Capabilities>,
    #[prost(message, optional, tag = "6")]
    pub auth_token: Option<AuthToken>,
    #[prost(message, repeated, tag = "33")]
    pub capabilities_prices: Vec<PriceInfo>,
    #[prost(string, repeated, tag = "34")]
    pub nodes: Vec<String>,
}

/// A price in wei per number of pixels.
#[derive(Clone, PartialEq, Message)]
pub struct PriceInfo {
    #[prost(int64, tag = "1")]
    pub price_per_unit: i64,
    #[prost(int64, tag = "2")]
    pub pixels_per_unit: i64,
    #[prost(uint32, tag = "3")]
    pub capability: u32,
    /// The model id that the price is for.
    #[prost(string, tag = "4")]
    pub constraint: String,
}

/// Capabilities that a job needs, or that an orchestrator offers.
#[derive(Clone, PartialEq, Message)]
pub struct Capabilities {
    #[prost(uint64, repeated, tag = "1")]
    pub bitstring: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub mandatories: Vec<u64>,
    #[prost(btree_map = "uint32, uint32", tag = "3")]
    pub capacities: BTreeMap<u32, u32>,
    #[prost(string, tag = "4")]
    pub version: String,
    #[prost(message, optional, tag = "5")]
    pub constraints: Option<Constraints>,
}

/// `Capabilities.Constraints`.
#[derive(Clone, PartialEq, Message)]
pub struct Constraints {
    #[prost(string, tag = "1")]
    pub min_version: String,
    #[prost(btree_map = "uint32, message", tag = "2")]
    pub per_capability: BTreeMap<u32, CapabilityConstraints>,
}

/// `Capabilities.CapabilityConstraints`.
#[derive(Clone, PartialEq, Message)]
pub struct CapabilityConstraints {
    #[prost(btree_map = "string, message", tag = "1")]
    pub models: BTreeMap<String, ModelConstraint>,
}

/// `Capabilities.CapabilityConstraints.ModelConstraint`.
#[derive(Clone, PartialEq, Message)]
pub struct ModelConstraint {
    #[prost(bool, tag = "1")]
    pub warm: bool,
    #[prost(uint32, tag = "2")]
    pub capacity: u32,
    #[prost(string, tag = "3")]
    pub runner_version: String,
    #[prost(uint32, tag = "4")]
    pub capacity_in_use: u32,
}

/// A session at the orchestrator, valid for 30 minutes.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct AuthToken {
    #[prost(bytes = "bytes", tag = "1")]
    pub token: Bytes,
    #[prost(string, tag = "2")]
    pub session_id: String,
    /// Unix seconds.
    #[prost(int64, tag = "3")]
    pub expiration: i64,
}

impl std::fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthToken").field("expiration", &self.expiration).finish_non_exhaustive()
    }
}

/// The content of the `Livepeer-Segment` header.
#[derive(Clone, PartialEq, Message)]
pub struct SegData {
    #[prost(bytes = "bytes", tag = "1")]
    pub manifest_id: Bytes,
    #[prost(int64, tag = "2")]
    pub seq: i64,
    #[prost(bytes = "bytes", tag = "3")]
    pub hash: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub profiles: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub sig: Bytes,
    #[prost(int32, tag = "6")]
    pub duration: i32,
    #[prost(message, optional, tag = "7")]
    pub capabilities: Option<Capabilities>,
    #[prost(message, optional, tag = "8")]
    pub auth_token: Option<AuthToken>,
}

/// The response to a payment. `info` is an encoded `OrchestratorInfo`.
#[derive(Clone, PartialEq, Message)]
pub struct PaymentResult {
    #[prost(bytes = "bytes", optional, tag = "16")]
    pub info: Option<Bytes>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The bytes of a message that an independent implementation encoded, by its name in the file of test vectors.
    pub(crate) fn vector(name: &str) -> Vec<u8> {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/protobuf.json")).unwrap();
        let vectors = all["vectors"].as_array().unwrap();
        let found = vectors.iter().find(|vector| vector["name"] == name);
        let hex = found.unwrap_or_else(|| panic!("no vector {name}"))["hex"].as_str().unwrap();
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn messages_of_an_independent_implementation_round_trip() {
        let bytes = vector("request-signed");
        let request = OrchestratorRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(request.address.len(), 20);
        assert!(request.ignore_capacity_check);
        check_encoding(&request);
        let bytes = vector("capabilities-lv2v-model");
        let capabilities = Capabilities::decode(bytes.as_slice()).unwrap();
        assert_eq!(capabilities.capacities.get(&35), Some(&1));
        check_encoding(&capabilities);
    }

    /// Compares decoded messages: prost omits an empty value of a map entry, so the bytes may differ.
    #[track_caller]
    fn check_encoding<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M) {
        assert_eq!(&M::decode(message.encode_to_vec().as_slice()).unwrap(), message);
    }

    #[test]
    fn a_complete_info_is_decoded() {
        let info = OrchestratorInfo::decode(vector("info-full").as_slice()).unwrap();
        assert_eq!(info.transcoder, "https://orch.example:8935");
        assert!(info.ticket_params.is_some());
        assert_eq!(info.auth_token.unwrap().session_id, "a1b2c3d4");
        let models = &info.capabilities.unwrap().constraints.unwrap().per_capability[&35].models;
        assert!(models["streamdiffusion"].warm);
        assert_eq!(info.nodes, ["https://orch-2.example:8935"]);
    }

    #[test]
    fn the_info_in_a_payment_result_keeps_its_bytes() {
        let result = PaymentResult::decode(vector("payment-result").as_slice()).unwrap();
        assert_eq!(result.info.unwrap(), vector("info-full"));
    }

    #[test]
    fn the_offchain_segment_contains_only_the_token() {
        let info = OrchestratorInfo::decode(vector("info-full").as_slice()).unwrap();
        let segment = SegData { auth_token: info.auth_token, ..SegData::default() };
        assert_eq!(segment.encode_to_vec(), vector("segdata-offchain"));
    }

    #[test]
    fn truncated_and_corrupt_messages_do_not_panic() {
        let bytes = vector("info-full");
        for cut in 0..bytes.len() {
            let _ = OrchestratorInfo::decode(&bytes[..cut]);
            let mut flipped = bytes.clone();
            flipped[cut] ^= 0xff;
            let _ = OrchestratorInfo::decode(flipped.as_slice());
        }
    }
}
