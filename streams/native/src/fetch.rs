//! Records from a group's partitions, many at once, grouped into batches.
//!
//! Each partition that the group's consumer was given is forwarded to a queue of ours, and that alone is read here. The
//! consumer's own queue, with its rebalances and errors, stays with confluent-kafka.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{c_int, CString};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::librdkafka::{text, Client, Message, Pointer};

/// Values one behind the other; None for a record without one.
#[derive(Default)]
pub struct Values {
    bytes: Vec<u8>,
    places: Vec<Option<(usize, usize)>>,
}

impl Values {
    /// The lines of a text; the newline behind the last is not in it.
    pub fn lines(text: &[u8]) -> Self {
        let mut values = Values { bytes: text.to_vec(), places: Vec::new() };
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
            values.places.push(Some((start, end)));
            start = end + 1;
        }
        values
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The value of that number; None outside.
    pub fn get(&self, number: usize) -> Option<Option<&[u8]>> {
        self.places.get(number).map(|place| place.map(|(start, end)| &self.bytes[start..end]))
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.places.iter().map(|place| place.map(|(start, end)| &self.bytes[start..end]))
    }

    fn push(&mut self, value: Option<&[u8]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.places.push(value.map(|_| (start, self.bytes.len())));
    }
}

/// Records of one partition, in their order.
#[derive(Default)]
pub struct Batch {
    pub topic: String,
    pub partition: i32,
    pub offsets: Vec<i64>,
    pub timestamps: Vec<i64>,
    pub values: Values,
}

/// What librdkafka says of a partition in the place of a record.
pub struct Event {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub code: c_int,
    pub text: String,
}

#[derive(Default)]
pub struct Fetched {
    pub batches: Vec<Batch>,
    pub events: Vec<Event>,
}

/// A queue of ours at a consumer.
pub struct Fetcher {
    client: Client,
    queue: AtomicPtr<std::ffi::c_void>, // null once closed
}

impl Fetcher {
    pub fn new(client: Client) -> Self {
        // SAFETY: the client lives.
        let queue = unsafe { (client.calls.queue_new)(client.handle) };
        Fetcher { client, queue: AtomicPtr::new(queue) }
    }

    /// Read these partitions here from now on. Harmless for those that already are.
    pub fn forward(&self, partitions: &[(String, i32)]) {
        let (calls, queue) = (&self.client.calls, self.queue.load(Ordering::Acquire));
        for (topic, partition) in partitions {
            let Ok(topic) = CString::new(topic.as_str()) else { continue };
            // SAFETY: the client and our queue live; the partition's queue is counted, and let go of.
            unsafe {
                let of_partition = (calls.queue_of_partition)(self.client.handle, topic.as_ptr(), *partition);
                if !of_partition.is_null() && !queue.is_null() {
                    (calls.queue_forward)(of_partition, queue);
                }
                if !of_partition.is_null() {
                    (calls.queue_destroy)(of_partition);
                }
            }
        }
    }

    /// What is there, or comes within the time. A batch that grows past `bytes_max` is closed, and another begun.
    pub fn fetch(&self, rows_max: usize, timeout_ms: c_int, bytes_max: usize) -> Fetched {
        let queue = self.queue.load(Ordering::Acquire);
        if queue.is_null() {
            return Fetched::default();
        }
        let mut messages: Vec<*mut Message> = vec![null_mut(); rows_max];
        // SAFETY: our queue lives, and there is room for so many.
        let count = unsafe { (self.client.calls.consume_batch)(queue, timeout_ms, messages.as_mut_ptr(), rows_max) };
        messages.truncate(usize::try_from(count).unwrap_or_default());
        let mut grouped = Grouped::default();
        for message in messages {
            // SAFETY: librdkafka has made this message for us to read once, and to destroy.
            unsafe {
                grouped.add(&self.client, &*message, bytes_max);
                (self.client.calls.message_destroy)(message);
            }
        }
        grouped.fetched
    }

    /// Let go of the queue, before the consumer is closed.
    pub fn close(&self) {
        let queue = self.queue.swap(null_mut(), Ordering::AcqRel);
        if !queue.is_null() {
            // SAFETY: nobody has it any more.
            unsafe { (self.client.calls.queue_destroy)(queue) };
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Default)]
struct Grouped {
    fetched: Fetched,
    open: HashMap<(Pointer, i32), usize>, // place of the batch that takes a partition's records
}

impl Grouped {
    /// # Safety
    /// `message` is one that the client has given.
    unsafe fn add(&mut self, client: &Client, message: &Message, bytes_max: usize) {
        let calls = &client.calls;
        let topic = || if message.topic.is_null() { String::new() } else { text((calls.topic_name)(message.topic)) };
        if message.error != 0 {
            let text = text((calls.message_errstr)(message));
            let (partition, offset, code) = (message.partition, message.offset, message.error);
            self.fetched.events.push(Event { topic: topic(), partition, offset, code, text });
            return;
        }
        let batches = &mut self.fetched.batches;
        let place = *self.open.entry((message.topic, message.partition)).or_insert_with(|| {
            batches.push(Batch { topic: topic(), partition: message.partition, ..Batch::default() });
            batches.len() - 1
        });
        let batch = &mut batches[place];
        batch.offsets.push(message.offset);
        batch.timestamps.push((calls.message_timestamp)(message, null_mut()));
        let value =
            (!message.payload.is_null()).then(|| std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len));
        batch.values.push(value);
        if batch.values.bytes.len() >= bytes_max {
            self.open.remove(&(message.topic, message.partition));
        }
    }
}
