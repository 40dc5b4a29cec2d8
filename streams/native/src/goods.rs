//! What goods names say. Python reads each distinct name once; here it is kept, for the names of some ten thousand.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

const NAMES_MAX: usize = 65_536;
const BYTES_MAX: usize = 16 << 20;

/// What one name says, as `streams.flow.describe.goods.Goods`.
pub struct Said {
    pub norm: String,
    pub class: u8,
    pub flags: u16,
    pub term: u32,
    pub trick: u8,
}

pub type Names = HashMap<String, Said>;

/// Names that were read. Full, it begins anew: names repeat, so those that count are soon there again.
#[derive(Default)]
pub struct Goods {
    known: RwLock<Names>,
}

impl Goods {
    pub fn known(&self) -> RwLockReadGuard<'_, Names> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn learn(&self, names: Names) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = |names: &Names| names.iter().map(|(name, said)| name.len() + said.norm.len()).sum::<usize>();
        if known.len() + names.len() > NAMES_MAX || bytes(&known) + bytes(&names) > BYTES_MAX {
            known.clear();
        }
        known.extend(names.into_iter().take(NAMES_MAX));
    }
}
