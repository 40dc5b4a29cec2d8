//! Deadlines, and keys that may expire, as Python sees them.

use std::collections::HashSet;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::deadlines::{Deadlines, Parcel, Waiting};
use crate::expiry::{listed, Listed};

/// Deadlines that must not fire yet.
#[pyclass]
pub struct Held(Waiting);

#[pymethods]
impl Held {
    fn __len__(&self) -> usize {
        self.0.len()
    }
}

#[pyclass(name = "Deadlines")]
#[derive(Default)]
pub struct PyDeadlines(Deadlines);

#[pymethods]
impl PyDeadlines {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[pyo3(signature = (parcels, due_at, passed, late = None))]
    fn set(
        &mut self,
        parcels: &Bound<'_, PyList>,
        due_at: &[u8],
        passed: i64,
        late: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Held> {
        let times = numbers(due_at);
        if times.len() != parcels.len() {
            return Err(PyValueError::new_err("due_at: not a time for each parcel"));
        }
        let mut given = Vec::with_capacity(parcels.len());
        for (parcel, at) in parcels.iter().zip(times) {
            given.push((at, self::parcel(&parcel)?));
        }
        let mut delayed = HashSet::new();
        for each in late.map(|late| late.try_iter()).transpose()?.into_iter().flatten() {
            delayed.insert(parcel(&each?)?);
        }
        Ok(Held(self.0.set(given.into_iter(), passed, &delayed)))
    }

    fn hold(&mut self, passed: i64) -> Held {
        Held(self.0.hold(passed))
    }

    fn release(&mut self, mut held: PyRefMut<'_, Held>) {
        self.0.release(std::mem::take(&mut held.0));
    }

    fn behind(&self, event_time: i64) -> bool {
        self.0.behind(event_time)
    }

    fn due<'py>(&mut self, py: Python<'py>, event_time: i64, most: usize) -> Vec<Bound<'py, PyBytes>> {
        self.0.due(event_time, most).iter().map(|parcel| PyBytes::new(py, parcel.reference())).collect()
    }

    fn waits(&self, parcels: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<bool>> {
        parcels.iter().map(|each| Ok(self.0.has(&parcel(each)?))).collect()
    }
}

/// Partitions, keys and values of records.
type Records<'py> = (Vec<i64>, Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>);

/// Records that list keys by partition and time (both packed), at most `keys_max` in each.
#[pyfunction]
pub fn list_keys<'py>(
    py: Python<'py>,
    partitions: &[u8],
    times: &[u8],
    keys: Vec<Bound<'py, PyBytes>>,
    keys_max: usize,
) -> Records<'py> {
    let given: Vec<_> = numbers(partitions)
        .zip(numbers(times))
        .zip(&keys)
        .map(|((partition, time), key)| (partition, time, key.as_bytes()))
        .collect();
    let found = listed(&given, keys_max);
    let bytes = |of: fn(&Listed) -> &[u8]| found.iter().map(|record| PyBytes::new(py, of(record))).collect();
    (found.iter().map(|record| record.partition).collect(), bytes(|record| &record.key), bytes(|record| &record.value))
}

pub fn numbers(packed: &[u8]) -> impl ExactSizeIterator<Item = i64> + '_ {
    packed.chunks_exact(8).map(|number| number.try_into().map_or(0, i64::from_le_bytes))
}

pub fn parcel(reference: &Bound<'_, PyAny>) -> PyResult<Parcel> {
    let found = Parcel::of(reference.cast::<PyBytes>()?.as_bytes());
    found.ok_or_else(|| PyValueError::new_err("the reference of a parcel is too long"))
}
