//! Records to librdkafka without a Python object for each.
//!
//! confluent-kafka has no such call. So its own librdkafka is opened here by path, and a client of its is spoken to
//! directly: in its object, the client's pointer is the first field behind the head. Python gives a client only of
//! releases where that was looked up (`streams.kafka.direct`), and the client's name must be the one it was made with.
//!
//! This is the one file with unsafe code: calls of a C library, and that pointer.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::ptr::null_mut;

use libloading::Library;
use pyo3::prelude::*;

const COPY: c_int = 0x2; // RD_KAFKA_MSG_F_COPY: the values are Python's

/// A key and a value; no value deletes the key.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// `rd_kafka_message_t`.
#[repr(C)]
struct Message {
    error: c_int,
    topic: *mut c_void,
    partition: i32,
    payload: *const c_void,
    len: usize,
    key: *const c_void,
    key_len: usize,
    offset: i64,
    private: *mut c_void,
}

/// The calls of librdkafka that are made here.
struct Calls {
    name: unsafe extern "C" fn(*const c_void) -> *const c_char,
    topic_new: unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_void) -> *mut c_void,
    topic_destroy: unsafe extern "C" fn(*mut c_void),
    produce_batch: unsafe extern "C" fn(*mut c_void, i32, c_int, *mut Message, c_int) -> c_int,
    _library: Library, // they are valid while it is open
}

impl Calls {
    fn of(path: &str) -> Result<Self, libloading::Error> {
        // SAFETY: the process has this library open already, so nothing of it is run; the types are those of rdkafka.h.
        unsafe {
            let library = Library::new(path)?;
            Ok(Calls {
                name: *library.get(b"rd_kafka_name\0")?,
                topic_new: *library.get(b"rd_kafka_topic_new\0")?,
                topic_destroy: *library.get(b"rd_kafka_topic_destroy\0")?,
                produce_batch: *library.get(b"rd_kafka_produce_batch\0")?,
                _library: library,
            })
        }
    }
}

/// A producer of confluent-kafka's.
pub struct Producer {
    calls: Calls,
    handle: *mut c_void,
}

// SAFETY: librdkafka's clients may be used by any thread.
unsafe impl Send for Producer {}
unsafe impl Sync for Producer {}

impl Producer {
    /// The client in this object; None where it is not called `name`…
    pub fn of(path: &str, object: &Bound<'_, PyAny>, name: &str) -> Option<Self> {
        let calls = Calls::of(path).ok()?;
        // SAFETY: Python gives confluent-kafka's own producers alone, of releases whose layout is known.
        let handle = unsafe { *object.as_ptr().add(1).cast::<*mut c_void>() };
        if handle.is_null() {
            return None;
        }
        // SAFETY: as above. The name is the client's, and is copied while it lives.
        let called = unsafe { CStr::from_ptr((calls.name)(handle)) }.to_str().ok()?.to_owned();
        called.starts_with(name).then_some(Producer { calls, handle })
    }

    /// Queue these for a partition, in their order; how many were taken, all unless the queue is full.
    pub fn produce(&self, topic: &str, partition: i32, changes: &[Change<'_>]) -> Option<usize> {
        let name = CString::new(topic).ok()?;
        let count = c_int::try_from(changes.len()).ok()?;
        let mut messages: Vec<Message> = changes.iter().map(|(key, value)| message(key, *value)).collect();
        // SAFETY: the client lives, `messages` has `count` of them, and librdkafka copies what they point to.
        unsafe {
            let topic = (self.calls.topic_new)(self.handle, name.as_ptr(), null_mut());
            if topic.is_null() {
                return None;
            }
            let taken = (self.calls.produce_batch)(topic, partition, COPY, messages.as_mut_ptr(), count);
            (self.calls.topic_destroy)(topic);
            usize::try_from(taken).ok()
        }
    }
}

fn message(key: &[u8], value: Option<&[u8]>) -> Message {
    Message {
        error: 0,
        topic: null_mut(),
        partition: 0,
        payload: value.map_or(null_mut(), |value| value.as_ptr().cast()),
        len: value.map_or(0, <[u8]>::len),
        key: key.as_ptr().cast(),
        key_len: key.len(),
        offset: 0,
        private: null_mut(),
    }
}
