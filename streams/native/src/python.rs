//! The module as Python sees it. A call takes its objects in one piece, lets go of the interpreter's lock while it reads,
//! and takes it once more to give back what it made; and between, if there are goods names that nobody has read yet.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList};

use crate::arrow::PyColumns;
use crate::batch::{Given, Texts};
use crate::clients::{PyFetcher, PyProducer, PyValues};
use crate::folding::{cut_dossiers, join_dossiers, PyHistories};
use crate::goods::{Goods, Names, Said};
use crate::movements::{self, Movements};
use crate::parcels::{add_bits, fold_answers, fold_movements, fold_uploads, PyPlaces};
use crate::people;
use crate::reference::Rows;
use crate::shipments::{Describer, Read};
use crate::storing::{PyChanges, PyHeld, PyHot};
use crate::tables;
use crate::timing::{list_keys, PyDeadlines};
use crate::tokens::Tokens;

/// Values as they were fetched here, rows, or values as Python has them.
#[derive(FromPyObject)]
enum Values<'py> {
    Fetched(Bound<'py, PyValues>),
    Columns(Bound<'py, PyColumns>),
    Objects(Vec<Option<Bound<'py, PyBytes>>>),
}
/// Rows (packed, as one bytearray), parcels, names as (row, name), and the numbers of the strange values.
type Moved<'py> = (Bound<'py, PyByteArray>, Bound<'py, PyList>, Vec<(usize, String)>, Vec<u32>);
/// Rows, parcels, tails, and the numbers of the strange values.
type Uploaded<'py> = (Bound<'py, PyByteArray>, Bound<'py, PyList>, Bound<'py, PyList>, Vec<u32>);

/// Numbers of the values, and their rows.
type Known<'py> = (Vec<u32>, Bound<'py, PyByteArray>);

#[pymodule]
mod _front {
    #[pymodule_export]
    use super::{
        add_bits, cut_dossiers, fold_answers, fold_movements, fold_uploads, inspections, join_dossiers, list_keys,
        scans, PyChanges, PyColumns, PyDeadlines, PyDescriber, PyFetcher, PyHeld, PyHistories, PyHot, PyPlaces,
        PyProducer, PyValues,
    };

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("FINGERPRINT", tables::FINGERPRINT)?;
        module.add("SOURCES", option_env!("WAYBILL_SOURCES").unwrap_or_default())
    }
}

/// MOVEMENT rows of scans.
#[pyfunction]
fn scans<'py>(py: Python<'py>, values: Values<'py>, bytes_max: usize) -> PyResult<Moved<'py>> {
    let given = given(&values);
    moved(py, py.detach(|| movements::scans(&given, bytes_max)))
}

/// MOVEMENT rows of inspections.
#[pyfunction]
fn inspections<'py>(py: Python<'py>, values: Values<'py>, bytes_max: usize) -> PyResult<Moved<'py>> {
    let given = given(&values);
    moved(py, py.detach(|| movements::inspections(&given, bytes_max)))
}

/// Reads what needs keys and lists. `read_goods` takes goods names and says of each its norm, class, flags, term and trick.
#[pyclass(frozen, name = "Describer")]
struct PyDescriber {
    describer: Describer,
    goods: Goods,
    read_goods: Py<PyAny>,
}

#[pymethods]
impl PyDescriber {
    #[new]
    #[pyo3(signature = (*, token_key, priority_origins, priority_countries, kinds, joins, regions, placeholders, traditional, address, read_goods))]
    #[allow(clippy::too_many_arguments)] // named, all of them
    fn new(
        token_key: &[u8],
        priority_origins: Vec<String>,
        priority_countries: Vec<String>,
        kinds: Vec<usize>,
        joins: bool,
        regions: &[u8],
        placeholders: Vec<String>,
        traditional: &str,
        address: (String, Vec<String>),
        read_goods: Py<PyAny>,
    ) -> PyResult<Self> {
        let tokens =
            |domain| Tokens::new(token_key, domain).map_err(|_| PyValueError::new_err("token_key: at most 32 bytes"));
        let describer = Describer {
            ids: tokens("id")?,
            phones: tokens("phone")?,
            names: tokens("name")?,
            prefixes: tokens("prefix")?,
            priority_origins,
            priority_countries,
            kinds: std::array::from_fn(|kind| kinds.contains(&kind)),
            joins,
            regions: regions.to_vec(),
            names_known: people::Lists {
                placeholders: placeholders.into_iter().collect(),
                traditional: traditional.chars().collect(),
                address_starts: address.0.chars().collect(),
                address_ends: address.1,
            },
        };
        Ok(PyDescriber { describer, goods: Goods::default(), read_goods })
    }

    /// Rows of reference records: of enterprises, with the places that each may serve, of outlets, and of couriers; and
    /// the numbers of the strange values.
    #[allow(clippy::type_complexity)]
    fn reference<'py>(
        &self,
        py: Python<'py>,
        values: Values<'py>,
        bytes_max: usize,
    ) -> (Known<'py>, Vec<Vec<String>>, Known<'py>, Known<'py>, Vec<u32>) {
        let given = given(&values);
        let found = py.detach(|| self.describer.reference(&given, bytes_max));
        let known = |rows: Rows| (rows.numbers, PyByteArray::new(py, &rows.rows));
        (known(found.enterprises), found.areas, known(found.outlets), known(found.couriers), found.strange)
    }

    /// SHIPMENT rows of shipments.
    fn shipments<'py>(&self, py: Python<'py>, values: Values<'py>, bytes_max: usize) -> PyResult<Uploaded<'py>> {
        let given = given(&values);
        let mut found = py.detach(|| self.describer.read(&given, given.numbers(), bytes_max, &self.goods.known()));
        if !found.waiting.is_empty() {
            let names = self.said(py, std::mem::take(&mut found.unknown).into_iter().collect())?;
            found = py.detach(|| {
                let waiting = found.waiting.iter().copied();
                let later = self.describer.read(&given, waiting, bytes_max, &names);
                self.goods.learn(names);
                found.with(later)
            });
        }
        let Read { uploads, strange, .. } = found;
        let rows = PyByteArray::new(py, &uploads.rows);
        Ok((rows, list(py, &uploads.parcels)?, list(py, &uploads.tails)?, strange))
    }
}

impl PyDescriber {
    /// What these goods names say.
    fn said(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Names> {
        let said: Vec<(String, u8, u16, u32, u8)> = self.read_goods.call1(py, (names.clone(),))?.extract(py)?;
        let said = said.into_iter().map(|(norm, class, flags, term, trick)| Said { norm, class, flags, term, trick });
        Ok(names.into_iter().zip(said).collect())
    }
}

fn given<'a>(values: &'a Values<'_>) -> Given<'a> {
    match values {
        Values::Fetched(values) => Given::Values(values.get().values().iter().collect()),
        Values::Columns(columns) => columns.get().given(),
        Values::Objects(values) => {
            Given::Values(values.iter().map(|value| value.as_ref().map(|bytes| bytes.as_bytes())).collect())
        }
    }
}

fn moved(py: Python<'_>, found: Movements) -> PyResult<Moved<'_>> {
    let rows = PyByteArray::new(py, &found.rows);
    Ok((rows, list(py, &found.parcels)?, found.names, found.strange))
}

fn list<'py>(py: Python<'py>, texts: &Texts) -> PyResult<Bound<'py, PyList>> {
    let objects: Vec<_> = texts.iter().map(|text| PyBytes::new(py, text)).collect();
    PyList::new(py, objects)
}
