//! State tokens: eight bytes of keyed BLAKE2s. See `streams/flow/describe/tokens.py`.

use blake2::digest::consts::U8;
use blake2::digest::{FixedOutput, InvalidLength, Update};
use blake2::Blake2sMac;

const SEPARATOR: u8 = 0x1f;

/// Makes tokens of one domain, which keeps kinds of value apart.
pub struct Tokens {
    keyed: Blake2sMac<U8>, // keyed once, and copied for every value
}

impl Tokens {
    pub fn new(key: &[u8], domain: &str) -> Result<Self, InvalidLength> {
        let mut keyed = Blake2sMac::new_with_salt_and_personal(key, &[], &[])?;
        keyed.update(domain.as_bytes());
        keyed.update(&[SEPARATOR]);
        Ok(Tokens { keyed })
    }

    /// The token of a value given in parts; never 0.
    pub fn of(&self, parts: &[&str]) -> u64 {
        let mut keyed = self.keyed.clone();
        for part in parts {
            keyed.update(part.as_bytes());
        }
        u64::from_be_bytes(keyed.finalize_fixed().into()).max(1)
    }
}
