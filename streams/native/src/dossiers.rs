//! Dossiers as they are stored: a head, then past uploads, then movements, then the tail.
//! `streams.flow.fold.dossiers` is the reference.

use crate::tables::{head_row, movement_row, version_row};

/// The parts of a stored dossier.
pub struct Parts<'a> {
    pub head: &'a [u8],
    pub versions: &'a [u8],
    pub movements: &'a [u8],
    pub tail: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Cut a stored value; None for one that is shorter than its head says.
    pub fn of(value: &'a [u8]) -> Option<Self> {
        let head = value.get(..head_row::SIZE)?;
        let first = head_row::SIZE + usize::from(head_row::VERSIONS.get(head)) * version_row::SIZE;
        let second = first + usize::from(head_row::MOVEMENTS.get(head)) * movement_row::SIZE;
        let (versions, movements) = (value.get(head_row::SIZE..first)?, value.get(first..second)?);
        Some(Parts { head, versions, movements, tail: &value[second..] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cut_where_its_head_says() {
        let mut value = vec![7; head_row::SIZE + 2 * version_row::SIZE + movement_row::SIZE + 5];
        head_row::VERSIONS.set(&mut value, 2);
        head_row::MOVEMENTS.set(&mut value, 1);
        let parts = Parts::of(&value).unwrap();
        assert_eq!((parts.versions.len(), parts.tail.len()), (2 * version_row::SIZE, 5));
        assert_eq!([parts.head, parts.versions, parts.movements, parts.tail].concat(), value);
        assert!(Parts::of(&value[..value.len() - 6]).is_none());
    }
}
