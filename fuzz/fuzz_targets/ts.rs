//! Transport streams from the network: any bytes, in any chunks, read alike.
//!
//! Does not: decode pictures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_edge::media::ts::{Reader, Report};

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, stream)) = bytes.split_first() else { return };
    let whole = read([stream]);
    let chunked = read(stream.chunks(usize::from(size) + 1));
    assert_eq!(whole, chunked);
    // Each packet completes one thing, loses sync, and may tell of a gap and of damage.
    assert!(whole.len() <= 4 * (stream.len() / 188 + 1) + 16 + stream.len());
});

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Report> {
    let mut reader = Reader::new();
    let mut reports = Vec::new();
    for chunk in chunks {
        reader.push(chunk, &mut |report| reports.push(report));
    }
    reader.flush(&mut |report| reports.push(report));
    reports
}
