//! Packed rows: numbers written where the layout has their column, little-endian.

use std::cell::Cell;
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

    pub fn get(&self, row: &[u8]) -> T {
        T::take(&row[self.at..])
    }

    /// As `get`, of a row that may be written.
    pub fn load(&self, row: &[Cell<u8>]) -> T {
        let mut bytes = [0; BYTES_MAX];
        bytes[..size_of::<T>()].iter_mut().zip(&row[self.at..]).for_each(|(byte, cell)| *byte = cell.get());
        T::take(&bytes)
    }

    /// As `set`.
    pub fn save(&self, row: &[Cell<u8>], value: T) {
        let mut bytes = [0; BYTES_MAX];
        value.put(&mut bytes);
        bytes[..size_of::<T>()].iter().zip(&row[self.at..]).for_each(|(&byte, cell)| cell.set(byte));
    }
}

const BYTES_MAX: usize = 40; // of a column that is loaded or saved

pub trait Packed {
    fn put(self, into: &mut [u8]);
    fn take(from: &[u8]) -> Self;
}

macro_rules! packed {
    ($($number:ty),*) => {$(
        impl Packed for $number {
            fn put(self, into: &mut [u8]) {
                into[..size_of::<$number>()].copy_from_slice(&self.to_le_bytes());
            }

            fn take(from: &[u8]) -> Self {
                let mut bytes = [0; size_of::<$number>()];
                bytes.copy_from_slice(&from[..size_of::<$number>()]);
                <$number>::from_le_bytes(bytes)
            }
        }
    )*};
}
packed!(u8, u16, u32, u64, i32, i64, f64);

impl Packed for bool {
    fn put(self, into: &mut [u8]) {
        into[0] = u8::from(self);
    }

    fn take(from: &[u8]) -> Self {
        from[0] != 0
    }
}

impl<const N: usize> Packed for [u8; N] {
    fn put(self, into: &mut [u8]) {
        into[..N].copy_from_slice(&self);
    }

    fn take(from: &[u8]) -> Self {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&from[..N]);
        bytes
    }
}

macro_rules! packed_arrays {
    ($($number:ty),*) => {$(
        impl<const N: usize> Packed for [$number; N] {
            fn put(self, into: &mut [u8]) {
                for (place, number) in into.chunks_exact_mut(size_of::<$number>()).zip(self) {
                    number.put(place);
                }
            }

            fn take(from: &[u8]) -> Self {
                std::array::from_fn(|i| <$number>::take(&from[i * size_of::<$number>()..]))
            }
        }
    )*};
}
packed_arrays!(u32, u64);
