//! Reads and joins transport streams: the result of any bytes does not depend on how they are divided into chunks.
//!
//! Does not: decode pictures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use bytes::Bytes;
use mpegts::{Joiner, Reader, TsEvent};

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, stream)) = bytes.split_first() else { return };
    let whole = read([stream]);
    let chunked = read(stream.chunks(usize::from(size) + 1));
    assert_eq!(whole, chunked);
    // The limit for one packet is four reports: one completed unit or table, a loss of sync, a gap, and damage.
    assert!(whole.len() <= 4 * (stream.len() / 188 + 1) + 16 + stream.len());
    let joined = join([stream]);
    assert_eq!(joined, join(stream.chunks(usize::from(size) + 1)));
    assert!(joined.len() <= stream.len() && joined.len() + 188 > stream.len());
});

fn join<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut joiner = Joiner::new();
    let mut joined = Vec::new();
    joiner.begin();
    for chunk in chunks {
        joined.extend_from_slice(&joiner.push(&Bytes::copy_from_slice(chunk)));
    }
    joined.extend_from_slice(&joiner.end(true));
    joined
}

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<TsEvent> {
    let mut reader = Reader::new();
    let mut reports = Vec::new();
    for chunk in chunks {
        reader.push(chunk, &mut |report| reports.push(report));
    }
    reader.flush(&mut |report| reports.push(report));
    reports
}
