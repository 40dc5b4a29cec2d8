//! Packed rows: numbers written where the layout has their column, little-endian.

use std::marker::PhantomData;

/// A column of a packed row: where it begins, and the type that it holds.
pub struct Column<T> {
    at: usize,
    holds: PhantomData<T>,
}

impl<T: Packed> Column<T> {
    pub const fn at(at: usize) -> Self {
        Column { at, holds: PhantomData }
    }

    pub fn set(&self, row: &mut [u8], value: T) {
        value.put(&mut row[self.at..]);
    }
}

pub trait Packed {
    fn put(self, into: &mut [u8]);
}

macro_rules! packed {
    ($($number:ty),*) => {$(
        impl Packed for $number {
            fn put(self, into: &mut [u8]) {
                into[..size_of::<$number>()].copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
packed!(u8, u16, u32, u64, i32, i64);

impl Packed for bool {
    fn put(self, into: &mut [u8]) {
        into[0] = u8::from(self);
    }
}

impl<const N: usize> Packed for [u8; N] {
    fn put(self, into: &mut [u8]) {
        into[..N].copy_from_slice(&self);
    }
}

impl<const N: usize> Packed for [u64; N] {
    fn put(self, into: &mut [u8]) {
        for (place, number) in into.chunks_exact_mut(8).zip(self) {
            place.copy_from_slice(&number.to_le_bytes());
        }
    }
}
