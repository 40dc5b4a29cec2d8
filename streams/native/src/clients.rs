//! The clients of confluent-kafka as Python sees them here.

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::fetch::{Batch, Event, Fetcher, Values};
use crate::librdkafka::Client;
use crate::produce::produce;
use crate::storing::PyChanges;

/// Topic, partition, offsets and times (both packed as 64-bit integers), and values.
type PyBatch<'py> = (String, i32, Bound<'py, PyBytes>, Bound<'py, PyBytes>, PyValues);
/// Topic, partition, offset, error code and text.
type PyEvent = (String, i32, i64, i32, String);

/// A producer, to which records go without an object for each.
#[pyclass(frozen, name = "Producer")]
pub struct PyProducer {
    client: Client,
    _object: Py<PyAny>, // lives as long
}

#[pymethods]
impl PyProducer {
    /// library: where the client's librdkafka lies. name: what the client's begins with.
    #[new]
    fn new(client: Bound<'_, PyAny>, library: &str, name: &str) -> PyResult<Self> {
        Ok(PyProducer { client: found(library, &client, name)?, _object: client.unbind() })
    }

    /// Queue the keys of `changes` from place `first` on, at most so many, with their values for a partition, in their
    /// order; how many were taken.
    fn produce(
        &self,
        py: Python<'_>,
        topic: &str,
        partition: i32,
        changes: &Bound<'_, PyChanges>,
        first: usize,
        rows_max: usize,
    ) -> PyResult<usize> {
        let changes = changes.get();
        py.detach(|| {
            let changes = changes.reading();
            let rows = changes.rows().get(first..).unwrap_or_default();
            produce(&self.client, topic, partition, &rows[..rows.len().min(rows_max)])
        })
        .ok_or_else(|| PyValueError::new_err("topic: it cannot be written to"))
    }
}

/// A consumer, whose records come without an object for each.
#[pyclass(frozen, name = "Fetcher")]
pub struct PyFetcher {
    fetcher: Fetcher,
    _object: Py<PyAny>, // lives as long
}

#[pymethods]
impl PyFetcher {
    /// As of a producer.
    #[new]
    fn new(client: Bound<'_, PyAny>, library: &str, name: &str) -> PyResult<Self> {
        Ok(PyFetcher { fetcher: Fetcher::new(found(library, &client, name)?), _object: client.unbind() })
    }

    /// Read these (topic, partition) here from now on.
    fn forward(&self, py: Python<'_>, partitions: Vec<(String, i32)>) {
        py.detach(|| self.fetcher.forward(&partitions));
    }

    /// What is there, or comes within the time: batches, and what is said in the place of records.
    fn fetch<'py>(
        &self,
        py: Python<'py>,
        rows_max: usize,
        timeout_ms: i32,
        bytes_max: usize,
    ) -> (Vec<PyBatch<'py>>, Vec<PyEvent>) {
        let fetched = py.detach(|| self.fetcher.fetch(rows_max, timeout_ms, bytes_max));
        let batches = fetched.batches.into_iter().map(|batch| {
            let Batch { topic, partition, offsets, timestamps, values } = batch;
            (topic, partition, packed(py, &offsets), packed(py, &timestamps), PyValues(values))
        });
        let events = fetched.events.into_iter().map(|event| {
            let Event { topic, partition, offset, code, text } = event;
            (topic, partition, offset, code, text)
        });
        (batches.collect(), events.collect())
    }

    /// Let go of the consumer, before it is closed.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.fetcher.close());
    }
}

/// Values of records, which become objects only when they are asked for.
#[pyclass(frozen, sequence, name = "Values")]
pub struct PyValues(Values);

impl PyValues {
    pub fn values(&self) -> &Values {
        &self.0
    }
}

#[pymethods]
impl PyValues {
    /// The lines of a text, without their newlines.
    #[staticmethod]
    fn lines(py: Python<'_>, text: &[u8]) -> Self {
        PyValues(py.detach(|| Values::lines(text)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, number: isize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let place = if number < 0 { number.checked_add_unsigned(self.0.len()) } else { Some(number) };
        let place = place.and_then(|place| usize::try_from(place).ok());
        let value = place.and_then(|place| self.0.get(place)).ok_or_else(|| PyIndexError::new_err(number))?;
        Ok(value.map(|value| PyBytes::new(py, value)))
    }
}

fn found(library: &str, object: &Bound<'_, PyAny>, name: &str) -> PyResult<Client> {
    Client::of(library, object, name).ok_or_else(|| PyValueError::new_err("not a client that is known here"))
}

fn packed<'py>(py: Python<'py>, numbers: &[i64]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    PyBytes::new(py, &bytes)
}
