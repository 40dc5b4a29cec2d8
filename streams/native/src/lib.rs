//! The native front end: bytes to packed rows, for the records that are plain. And histories and movements, folded;
//! and deadlines.
//!
//! Python is the reference (`streams.flow.decode`, `streams.flow.describe`). What is read here gives the very rows that
//! it gives; what is not plain is handed back, and Python alone says whether it is right, and if not, why.

mod answers;
mod batch;
mod columns;
mod deadlines;
mod dossiers;
mod expiry;
#[rustfmt::skip]
mod fields;
mod figures;
mod goods;
mod histories;
mod identity;
mod json;
mod memory;
mod movements;
mod paths;
mod people;
mod record;
mod reference;
mod refs;
mod row;
mod shipments;
#[rustfmt::skip]
mod tables;
mod tokens;
mod uploads;

#[cfg(feature = "python")]
mod arrow;
#[cfg(feature = "python")]
mod clients;
#[cfg(feature = "python")]
mod fetch;
#[cfg(feature = "python")]
mod folding;
#[cfg(feature = "python")]
mod librdkafka;
#[cfg(feature = "python")]
mod parcels;
#[cfg(feature = "python")]
mod produce;
#[cfg(feature = "python")]
mod python;
#[cfg(feature = "python")]
mod storing;
#[cfg(feature = "python")]
mod timing;
