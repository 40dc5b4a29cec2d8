//! Records to a topic, many at once.
#![allow(unsafe_code)]

use std::ffi::{c_int, CString};
use std::ptr::{null, null_mut};

use crate::librdkafka::{Client, Message};
use crate::memory::Change;

const COPY: c_int = 0x2; // RD_KAFKA_MSG_F_COPY: the values are the store's

/// Queue these for a partition, in their order; how many were taken, all unless the queue is full.
pub fn produce(client: &Client, topic: &str, partition: i32, changes: &[Change]) -> Option<usize> {
    let name = CString::new(topic).ok()?;
    let count = c_int::try_from(changes.len()).ok()?;
    let mut messages: Vec<Message> = changes.iter().map(message).collect();
    let calls = &client.calls;
    // SAFETY: the client lives, `messages` has `count` of them, and librdkafka copies what they point to.
    unsafe {
        let topic = (calls.topic_new)(client.handle, name.as_ptr(), null_mut());
        if topic.is_null() {
            return None;
        }
        let taken = (calls.produce_batch)(topic, partition, COPY, messages.as_mut_ptr(), count);
        (calls.topic_destroy)(topic);
        usize::try_from(taken).ok()
    }
}

fn message((key, value): &Change) -> Message {
    Message {
        error: 0,
        topic: null_mut(),
        partition: 0,
        payload: value.as_ref().map_or(null(), |value| value.as_ptr().cast()),
        len: value.as_ref().map_or(0, |value| value.len()),
        key: key.as_ptr().cast(),
        key_len: key.len(),
        offset: 0,
        private: null_mut(),
    }
}
