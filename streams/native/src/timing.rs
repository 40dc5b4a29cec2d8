//! Deadlines as Python sees them.

use std::collections::HashSet;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::deadlines::{Deadlines, Parcel, Waiting};

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
        let times = due_at.chunks_exact(8).map(|at| at.try_into().map_or(0, i64::from_le_bytes));
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

pub fn parcel(reference: &Bound<'_, PyAny>) -> PyResult<Parcel> {
    let found = Parcel::of(reference.cast::<PyBytes>()?.as_bytes());
    found.ok_or_else(|| PyValueError::new_err("the reference of a parcel is too long"))
}
