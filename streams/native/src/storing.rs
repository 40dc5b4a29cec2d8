//! What is in memory of a partition, as Python sees it here. The names are those of `streams.state.memory`.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySlice};

use crate::memory::{Change, Changes, Hot, Shared};

const FILL_ROWS: usize = 1_000; // at once, half a millisecond

/// Values that are kept here, or None, which become objects only when they are asked for.
#[pyclass(sequence, name = "Held")]
#[derive(Default)]
pub struct PyHeld(pub Vec<Option<Shared>>);

#[pymethods]
impl PyHeld {
    #[new]
    fn new() -> Self {
        PyHeld::default()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, at: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(part) = at.cast::<PySlice>() {
            let found = part.indices(self.0.len() as isize)?;
            if found.step != 1 {
                return Err(PyValueError::new_err("step: 1 alone"));
            }
            let (start, end) = (found.start as usize, found.stop.max(found.start) as usize);
            return Ok(Bound::new(py, PyHeld(self.0[start..end].to_vec()))?.into_any());
        }
        let number: isize = at.extract()?;
        let place = if number < 0 { number.checked_add_unsigned(self.0.len()) } else { Some(number) };
        let place = place.and_then(|place| usize::try_from(place).ok());
        let value = place.and_then(|place| self.0.get(place)).ok_or_else(|| PyIndexError::new_err(number))?;
        Ok(object(py, value.as_ref()))
    }
}

/// Values as they are kept here, or as Python has them.
#[derive(FromPyObject)]
pub enum Given<'py> {
    Held(PyRef<'py, PyHeld>),
    Objects(Vec<Option<Bound<'py, PyBytes>>>),
}

impl Given<'_> {
    /// The values, which live as long.
    pub fn slices(&self) -> Vec<Option<&[u8]>> {
        match self {
            Given::Held(held) => held.0.iter().map(Option::as_deref).collect(),
            Given::Objects(values) => values.iter().map(|value| value.as_ref().map(|bytes| bytes.as_bytes())).collect(),
        }
    }

    fn shared(&self) -> Vec<Option<Shared>> {
        match self {
            Given::Held(held) => held.0.clone(),
            Given::Objects(values) => values.iter().map(|value| value.as_ref().map(shared)).collect(),
        }
    }
}

#[pyclass(frozen, name = "Hot")]
#[derive(Default)]
pub struct PyHot(Mutex<Hot>);

#[pymethods]
impl PyHot {
    #[new]
    fn new() -> Self {
        PyHot::default()
    }

    fn __len__(&self) -> usize {
        self.hot().len()
    }

    fn bound(&self, bytes_max: usize) {
        self.hot().bound(bytes_max);
    }

    /// Append the value of each key to `into`, or None; `cold` is asked for those that are not here.
    fn get(
        &self,
        keys: Vec<Bound<'_, PyBytes>>,
        into: &Bound<'_, PyHeld>,
        cold: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut held = into.borrow_mut();
        let start = held.0.len();
        let hot = self.hot();
        held.0.extend(keys.iter().map(|key| hot.get(key.as_bytes()).cloned()));
        drop(hot);
        let Some(cold) = cold else { return Ok(()) };
        let lacking: Vec<_> = (start..held.0.len()).filter(|&place| held.0[place].is_none()).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let asked = lacking.iter().map(|&place| &keys[place - start]);
        let found: Given<'_> = cold.call1((PyList::new(cold.py(), asked)?,))?.extract()?;
        lacking.into_iter().zip(found.shared()).for_each(|(place, value)| held.0[place] = value);
        Ok(())
    }

    /// Set values, also in `changes`; true if older ones had to be dropped.
    fn put(&self, keys: Vec<Bound<'_, PyBytes>>, values: Given<'_>, changes: &Bound<'_, PyChanges>) -> PyResult<bool> {
        let pairs = pairs(&keys, values)?;
        let mut changes = changes.get().writing();
        pairs.iter().for_each(|(key, value)| changes.set(key.clone(), Some(value.clone())));
        Ok(self.hot().put(pairs.into_iter()))
    }

    /// The same here alone, and for keys that have a value.
    fn warm(&self, keys: Vec<Bound<'_, PyBytes>>, values: Given<'_>) -> bool {
        let pairs = keys.iter().zip(values.shared());
        self.hot().put(pairs.filter_map(|(key, value)| Some((shared(key), value?))))
    }

    fn drop(&self, keys: Vec<Bound<'_, PyBytes>>) {
        let mut hot = self.hot();
        keys.iter().for_each(|key| hot.remove(key.as_bytes()));
    }
}

impl PyHot {
    fn hot(&self) -> MutexGuard<'_, Hot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pyclass(frozen, name = "Changes")]
#[derive(Default)]
pub struct PyChanges(RwLock<Changes>);

#[pymethods]
impl PyChanges {
    #[new]
    fn new() -> Self {
        PyChanges::default()
    }

    fn __len__(&self) -> usize {
        self.reading().rows().len()
    }

    fn __contains__(&self, key: &[u8]) -> bool {
        self.reading().get(key).is_some()
    }

    fn put(&self, keys: Vec<Bound<'_, PyBytes>>, values: Given<'_>) -> PyResult<()> {
        let pairs = pairs(&keys, values)?;
        let mut changes = self.writing();
        pairs.into_iter().for_each(|(key, value)| changes.set(key, Some(value)));
        Ok(())
    }

    fn delete(&self, keys: Vec<Bound<'_, PyBytes>>) {
        let mut changes = self.writing();
        keys.iter().for_each(|key| changes.set(shared(key), None));
    }

    /// These values of keys, but for those that are changed.
    fn over(&self, keys: Vec<Bound<'_, PyBytes>>, values: Given<'_>) -> PyHeld {
        let changes = self.reading();
        let found = keys.iter().zip(values.shared());
        PyHeld(found.map(|(key, value)| changes.get(key.as_bytes()).map_or(value, Clone::clone)).collect())
    }

    fn between<'py>(&self, py: Python<'py>, after: &[u8], last: &[u8], before: &[u8]) -> Vec<PyChange<'py>> {
        self.reading().between(after, last, before).map(|change| objects(py, change)).collect()
    }

    fn behind<'py>(&self, py: Python<'py>, first: usize) -> Vec<PyChange<'py>> {
        self.reading().rows().iter().skip(first).map(|change| objects(py, change)).collect()
    }

    /// Put all into a batch of RocksDB, in order; others have the interpreter's lock between.
    fn fill(&self, py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<()> {
        let (put, delete) = (batch.getattr(intern!(py, "put"))?, batch.getattr(intern!(py, "delete"))?);
        let rows = py.detach(|| self.reading().in_order());
        for part in rows.chunks(FILL_ROWS) {
            for (key, value) in part {
                let key = PyBytes::new(py, key);
                match value {
                    Some(value) => put.call1((key, PyBytes::new(py, value)))?,
                    None => delete.call1((key,))?,
                };
            }
            py.detach(|| ());
        }
        Ok(())
    }

    fn merge(&self, py: Python<'_>, newer: &Bound<'_, PyChanges>) {
        let newer = newer.get();
        py.detach(|| self.writing().merge(&newer.reading()));
    }
}

/// A key and its value, as objects.
type PyChange<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

impl PyChanges {
    pub fn reading(&self) -> RwLockReadGuard<'_, Changes> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Changes> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pairs(keys: &[Bound<'_, PyBytes>], values: Given<'_>) -> PyResult<Vec<(Shared, Shared)>> {
    let values = values.shared();
    if values.len() != keys.len() {
        return Err(PyValueError::new_err("values: not as many as keys"));
    }
    let pairs = keys.iter().zip(values).map(|(key, value)| Some((shared(key), value?)));
    pairs.collect::<Option<_>>().ok_or_else(|| PyValueError::new_err("values: None"))
}

fn shared(bytes: &Bound<'_, PyBytes>) -> Shared {
    bytes.as_bytes().into()
}

fn object<'py>(py: Python<'py>, value: Option<&Shared>) -> Bound<'py, PyAny> {
    value.map_or_else(|| py.None().into_bound(py), |value| PyBytes::new(py, value).into_any())
}

fn objects<'py>(py: Python<'py>, (key, value): &Change) -> PyChange<'py> {
    (PyBytes::new(py, key).into_any(), object(py, value.as_ref()))
}
