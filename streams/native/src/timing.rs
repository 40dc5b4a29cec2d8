//! Deadlines, and keys that may expire, as Python sees them.

use std::collections::HashSet;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::deadlines::{Deadlines, Parcel};
use crate::expiry::{listed, Listed};

type PyWaiting<'py> = Vec<(i64, Bound<'py, PyBytes>)>;

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
    fn set<'py>(
        &mut self,
        py: Python<'py>,
        parcels: &Bound<'py, PyList>,
        due_at: &[u8],
        passed: i64,
        late: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<PyWaiting<'py>> {
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
        let held = self.0.set(given.into_iter(), passed, &delayed);
        Ok(held.iter().map(|(at, parcel)| (*at, PyBytes::new(py, parcel.reference()))).collect())
    }

    fn release(&mut self, held: Vec<(i64, Bound<'_, PyAny>)>) -> PyResult<()> {
        let held: Vec<_> = held.iter().map(|(at, each)| Ok((*at, parcel(each)?))).collect::<PyResult<_>>()?;
        self.0.release(held.into_iter());
        Ok(())
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
