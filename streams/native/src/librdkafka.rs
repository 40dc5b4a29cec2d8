//! The clients of confluent-kafka, spoken to without it: it has no call that makes no Python object of each record.
//!
//! Its own librdkafka is opened by path. In an object of its, the client's pointer is the first field behind the head.
//! Python gives objects only of releases where that was looked up (`streams.kafka.direct`), and the client's name must be
//! the one that it was made with.
//!
//! Unsafe code is here, in `produce.rs` and in `fetch.rs`, and nowhere else: calls of a C library, and that pointer.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr};

use libloading::Library;
use pyo3::prelude::*;

/// `rd_kafka_t`, `rd_kafka_topic_t` and `rd_kafka_queue_t`.
pub type Pointer = *mut c_void;

/// `rd_kafka_message_t`.
#[repr(C)]
pub struct Message {
    pub error: c_int,
    pub topic: Pointer,
    pub partition: i32,
    pub payload: *const c_void,
    pub len: usize,
    pub key: *const c_void,
    pub key_len: usize,
    pub offset: i64,
    pub private: Pointer,
}

macro_rules! calls {
    ($($name:ident: $symbol:literal ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The calls of librdkafka that are made here.
        pub struct Calls {
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            _library: Library, // they are valid while it is open
        }

        impl Calls {
            fn of(path: &str) -> Result<Self, libloading::Error> {
                // SAFETY: the process has this library open already, so nothing of it is run; the types are those of
                // rdkafka.h.
                unsafe {
                    let library = Library::new(path)?;
                    Ok(Calls { $($name: *library.get($symbol)?,)* _library: library })
                }
            }
        }
    };
}
calls! {
    name: b"rd_kafka_name\0" (Pointer) -> *const c_char;
    topic_new: b"rd_kafka_topic_new\0" (Pointer, *const c_char, Pointer) -> Pointer;
    topic_destroy: b"rd_kafka_topic_destroy\0" (Pointer);
    topic_name: b"rd_kafka_topic_name\0" (Pointer) -> *const c_char;
    produce_batch: b"rd_kafka_produce_batch\0" (Pointer, i32, c_int, *mut Message, c_int) -> c_int;
    queue_new: b"rd_kafka_queue_new\0" (Pointer) -> Pointer;
    queue_of_partition: b"rd_kafka_queue_get_partition\0" (Pointer, *const c_char, i32) -> Pointer;
    queue_forward: b"rd_kafka_queue_forward\0" (Pointer, Pointer);
    queue_destroy: b"rd_kafka_queue_destroy\0" (Pointer);
    consume_batch: b"rd_kafka_consume_batch_queue\0" (Pointer, c_int, *mut *mut Message, usize) -> isize;
    message_timestamp: b"rd_kafka_message_timestamp\0" (*const Message, *mut c_int) -> i64;
    message_errstr: b"rd_kafka_message_errstr\0" (*const Message) -> *const c_char;
    message_destroy: b"rd_kafka_message_destroy\0" (*mut Message);
}

/// A client, and how to call it. It lives as long as the object that it was found in.
pub struct Client {
    pub calls: Calls,
    pub handle: Pointer,
}

// SAFETY: librdkafka's clients may be used by any thread.
unsafe impl Send for Client {}
unsafe impl Sync for Client {}

impl Client {
    /// The client in this object; None where its name does not begin with `name`.
    pub fn of(library: &str, object: &Bound<'_, PyAny>, name: &str) -> Option<Self> {
        let calls = Calls::of(library).ok()?;
        // SAFETY: Python gives confluent-kafka's own clients alone, of releases whose layout is known.
        let handle = unsafe { *object.as_ptr().add(1).cast::<Pointer>() };
        if handle.is_null() {
            return None;
        }
        // SAFETY: as above. The name is the client's, which lives.
        let called = unsafe { text((calls.name)(handle)) };
        called.starts_with(name).then_some(Client { calls, handle })
    }
}

/// A text of librdkafka's; empty for none.
///
/// # Safety
/// It is null, or ends with a zero.
pub unsafe fn text(chars: *const c_char) -> String {
    if chars.is_null() {
        return String::new();
    }
    CStr::from_ptr(chars).to_string_lossy().into_owned()
}
