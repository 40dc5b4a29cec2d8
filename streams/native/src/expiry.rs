//! Records of keys that may expire. `streams.flow.time.expiry_index` is the reference.

use xxhash_rust::xxh3::xxh3_64;

use crate::tables::FORMAT;

const END: u8 = 0xff; // keys of these records begin so

/// Keys of one partition that may expire at the same time, as the key and value of a record.
pub struct Listed {
    pub partition: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// List keys, given as partition, time and key, by partition and time: at most `keys_max` in a record.
pub fn listed(given: &[(i64, i64, &[u8])], keys_max: usize) -> Vec<Listed> {
    let mut order: Vec<_> = given.iter().enumerate().map(|(i, each)| (each.0, each.1, i)).collect();
    order.sort_unstable();
    let mut out: Vec<Listed> = Vec::new();
    let mut last = None;
    for (number, (partition, time, i)) in order.into_iter().enumerate() {
        if last != Some((partition, time)) || number % keys_max == 0 {
            last = Some((partition, time));
            let key = [&[END][..], &(time.min(u32::MAX.into()) as u32).to_be_bytes()].concat();
            out.push(Listed { partition, key, value: vec![FORMAT] });
        }
        if let Some(record) = out.last_mut() {
            record.value.push(given[i].2.len() as u8);
            record.value.extend_from_slice(given[i].2);
        }
    }
    // By content, so that it is the same record when the same input is read again.
    out.iter_mut().for_each(|record| record.key.extend_from_slice(&xxh3_64(&record.value).to_be_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_partition_and_time_and_not_too_many() {
        let given = [(1, 7, &b"a"[..]), (0, 9, b"bc"), (1, 7, b"d"), (1, 7, b"e")];
        let found = listed(&given, 3);
        let told: Vec<_> = found.iter().map(|each| (each.partition, &each.key[..5], &each.value[1..])).collect();
        let (nine, seven) = (&[255, 0, 0, 0, 9][..], &[255, 0, 0, 0, 7][..]);
        assert_eq!(told, [(0, nine, &b"\x02bc"[..]), (1, seven, b"\x01a\x01d"), (1, seven, b"\x01e")]);
    }
}
