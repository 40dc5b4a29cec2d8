//! Histories, and dossiers as they are stored, as Python sees them here.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList};

use crate::dossiers::Parts;
use crate::figures::{Attribute, Field, Figure, Measure};
use crate::histories::Histories;
use crate::storing::{Given, PyHeld};
use crate::tables::head_row;

/// Figure, window, what it is over, what must be the same (field and divisor), whether earlier ones alone, and the place
/// among the counts of a fact, if it has one.
type PyMeasure = (String, i64, Option<(String, i64)>, Option<(String, i64)>, bool, Option<usize>);
/// Facts and their partitions; buckets to store: partitions, keys, values, and the places of those that had no value;
/// facts that ask for a distance, from where and to where.
type PyFolded<'py> = (
    (Bound<'py, PyByteArray>, Bound<'py, PyBytes>),
    (Vec<i64>, Vec<Bound<'py, PyBytes>>, PyHeld, Vec<usize>),
    Vec<Bound<'py, PyBytes>>,
);

#[pyclass(frozen, name = "Histories")]
pub struct PyHistories(Histories);

#[pymethods]
impl PyHistories {
    /// spans: width of buckets by kind, ms. measures: by kind. rows_max: of a bucket.
    #[new]
    fn new(spans: Vec<i64>, measures: Vec<Vec<PyMeasure>>, rows_max: usize) -> PyResult<Self> {
        let measures = measures.into_iter().map(|kind| kind.into_iter().map(measure).collect()).collect::<Option<_>>();
        let measures = measures.ok_or_else(|| PyValueError::new_err("measures: an unknown figure or field"))?;
        Ok(PyHistories(Histories { spans, measures, rows_max }))
    }

    /// Merge packed observations into their histories. partitions: those of the histories. get: asks for partitions and
    /// keys, by which the values of buckets are looked up.
    fn fold<'py>(
        &self,
        py: Python<'py>,
        observations: &[u8],
        partitions: Vec<i64>,
        get: &Bound<'py, PyAny>,
    ) -> PyResult<PyFolded<'py>> {
        let plan = py.detach(|| self.0.plan(observations, &partitions));
        let numbers: Vec<i64> = plan.buckets.iter().map(|bucket| bucket.partition).collect();
        let keys: Vec<_> = plan.buckets.iter().map(|bucket| PyBytes::new(py, &bucket.key)).collect();
        let keys = PyList::new(py, keys)?;
        let found: Given<'_> = get.call1((numbers, &keys))?.extract()?;
        let values = found.slices();
        let (folded, held) = py.detach(|| {
            let folded = self.0.merge(&plan, observations, &values);
            let held = folded.values.iter().map(|value| Some(value.into())).collect();
            (folded, PyHeld(held))
        });
        let new = folded.stored.iter().enumerate().filter(|(_, &bucket)| values[bucket].is_none());
        let stored = (
            folded.stored.iter().map(|&bucket| plan.buckets[bucket].partition).collect(),
            folded.stored.iter().map(|&bucket| PyBytes::new(py, &plan.buckets[bucket].key)).collect(),
            held,
            new.map(|(place, _)| place).collect(),
        );
        let far = [&folded.far.facts, &folded.far.before, &folded.far.here].map(|packed| PyBytes::new(py, packed));
        let facts = (PyByteArray::new(py, &folded.facts), PyBytes::new(py, &folded.partitions));
        Ok((facts, stored, far.into()))
    }
}

/// Heads (packed), past uploads, movements and tails, and a byte for each that says whether it is not stored.
type Cut<'py> =
    (Bound<'py, PyByteArray>, Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyByteArray>);

/// Cut stored dossiers into their parts. empty: what stands for one that is not stored.
#[pyfunction]
pub fn cut_dossiers<'py>(py: Python<'py>, values: Given<'py>, empty: &[u8]) -> PyResult<Cut<'py>> {
    let values = values.slices();
    let parts: Option<Vec<_>> = values.iter().map(|value| Parts::of(value.unwrap_or(empty))).collect();
    let parts = parts.ok_or_else(|| PyValueError::new_err("a dossier is cut off"))?;
    let heads = PyByteArray::new_with(py, parts.len() * head_row::SIZE, |into| {
        into.chunks_exact_mut(head_row::SIZE).zip(&parts).for_each(|(into, parts)| into.copy_from_slice(parts.head));
        Ok(())
    })?;
    let column = |bytes: Vec<Bound<'py, PyBytes>>| PyList::new(py, bytes);
    let fresh: Vec<u8> = values.iter().map(|value| value.is_none().into()).collect();
    Ok((
        heads,
        column(parts.iter().map(|each| PyBytes::new(py, each.versions)).collect())?,
        column(parts.iter().map(|each| PyBytes::new(py, each.movements)).collect())?,
        column(parts.iter().map(|each| PyBytes::new(py, each.tail)).collect())?,
        PyByteArray::new(py, &fresh),
    ))
}

/// The values to store of these rows among dossiers. heads: packed.
#[pyfunction]
pub fn join_dossiers(
    rows: Vec<usize>,
    heads: &[u8],
    versions: &Bound<'_, PyList>,
    movements: &Bound<'_, PyList>,
    tails: &Bound<'_, PyList>,
) -> PyResult<PyHeld> {
    let mut values = Vec::with_capacity(rows.len());
    let mut value = Vec::new();
    for row in rows {
        let head = heads.get(row * head_row::SIZE..(row + 1) * head_row::SIZE);
        value.clear();
        value.extend_from_slice(head.ok_or_else(|| PyValueError::new_err("rows: there is no such dossier"))?);
        for part in [versions, movements, tails] {
            value.extend_from_slice(part.get_item(row)?.cast::<PyBytes>()?.as_bytes());
        }
        values.push(Some(value.as_slice().into()));
    }
    Ok(PyHeld(values))
}

fn measure((figure, window_ms, over, same, earlier, place): PyMeasure) -> Option<(Measure, Option<usize>)> {
    let attribute = |given: Option<(String, i64)>| match given {
        Some((name, divisor)) => Some(Some(Attribute { field: Field::named(&name)?, divisor })),
        None => Some(None),
    };
    let (over, same) = (attribute(over)?, attribute(same)?);
    Some((Measure { figure: Figure::named(&figure)?, window_ms, over, same, earlier }, place))
}
