//! References: short names of parcels, and stable hashes of texts that name no person. See `streams/flow/layout.py`.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::tables::PARCEL_BYTES;

const STEM_BYTES: usize = 15;

/// A stable hash of a text; never 0.
pub fn text_ref(text: &[u8]) -> u64 {
    xxh3_64(text).max(1)
}

/// The same of a code in its normal form, ASCII without spaces and quotes; None for another. See `codes` in
/// `streams/flow/describe/text.py`.
pub fn code_ref(code: &str) -> Option<u64> {
    is_plain_code(code).then(|| text_ref(code.as_bytes()))
}

pub fn is_plain_code(code: &str) -> bool {
    code.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'=' | b'`'))
}

pub fn event_ref(event_id: &str, seed: u64) -> u64 {
    xxh3_64_with_seed(event_id.as_bytes(), seed)
}

/// Put `CARRIER:NUMBER` into `name`, and its reference behind `into`: itself, or its start and a hash of the whole.
pub fn parcel_ref(carrier: &str, number: &str, name: &mut String, into: &mut Vec<u8>) {
    name.clear();
    name.push_str(carrier);
    name.push(':');
    name.push_str(number);
    if name.len() <= PARCEL_BYTES {
        into.extend_from_slice(name.as_bytes());
        return;
    }
    into.extend_from_slice(&name.as_bytes()[..STEM_BYTES]);
    into.push(b'~');
    into.extend_from_slice(format!("{:016x}", xxh3_64(name.as_bytes())).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_keeps_its_start() {
        let (mut name, mut reference) = (String::new(), Vec::new());
        parcel_ref("SF", &"1".repeat(40), &mut name, &mut reference);
        assert_eq!(reference.len(), PARCEL_BYTES);
        assert!(reference.starts_with(b"SF:111111111111~"));
        assert_eq!(name.len(), 43);
    }

    #[test]
    fn a_short_name_is_its_own_reference() {
        let (mut name, mut reference) = (String::new(), Vec::new());
        parcel_ref("SF", "1", &mut name, &mut reference);
        assert_eq!(reference, b"SF:1");
    }
}
