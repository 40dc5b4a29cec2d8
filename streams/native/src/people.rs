//! Senders and recipients: names and mobile numbers that are written plainly. See `streams/flow/describe/people.py`.

use std::collections::HashSet;

/// What the name of a sender says.
pub struct Name {
    pub norm: String,
    pub masked: bool,
    pub placeholder: bool,
}

/// What tells a plain name from one that is Python's to read.
pub struct Lists {
    /// Words that name nobody.
    pub placeholders: HashSet<String>,
    /// Characters that have another, simplified form.
    pub traditional: HashSet<char>,
    /// What a form of address begins with, and what it ends with.
    pub address_starts: HashSet<char>,
    pub address_ends: Vec<String>,
}

/// What stands before a number that a marketplace appends (转7839, 转接, 分机, 虚拟号码, 尾数, 虚拟电话, 后四位) ends so: such a
/// number is taken off.
const BEFORE_APPENDED: [char; 8] = ['转', '接', '机', '号', '码', '数', '话', '位'];

/// A name of simplified Chinese characters with single dots between, perhaps with stars behind, or without dots and with
/// digits behind; None for any other, and for one that may be a form of address.
pub fn name(written: &str, lists: &Lists) -> Option<Name> {
    let stem = written.trim_end_matches(|char: char| char.is_ascii_digit());
    if stem.len() < written.len() {
        return numbered(written, stem, lists);
    }
    let norm = written.trim_end_matches('*');
    let masked = norm.len() < written.len();
    let mut parts = norm.split('·');
    if !parts.all(|part| !part.is_empty() && part.chars().all(|char| is_simplified(char, lists))) {
        return None;
    }
    let mut chars = norm.chars();
    let first = chars.next()?;
    let last = chars.next_back();
    let addressed = lists.address_starts.contains(&first) || lists.address_ends.iter().any(|end| norm.ends_with(end));
    if addressed && !masked {
        return None;
    }
    let repeated = last == Some(first) && chars.all(|char| char == first);
    let placeholder = !masked
        && (repeated
            || lists.placeholders.contains(norm)
            || (norm.contains('·') && lists.placeholders.contains(&norm.replace('·', ""))));
    Some(Name { norm: written.to_owned(), masked, placeholder })
}

/// A name with digits behind its letters, as shops have: no form of address ends so.
fn numbered(written: &str, stem: &str, lists: &Lists) -> Option<Name> {
    if BEFORE_APPENDED.contains(&stem.chars().next_back()?) || !stem.chars().all(|char| is_simplified(char, lists)) {
        return None;
    }
    Some(Name { norm: written.to_owned(), masked: false, placeholder: lists.placeholders.contains(stem) })
}

fn is_simplified(char: char, lists: &Lists) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&char) && !lists.traditional.contains(&char)
}

/// A mobile number in one form: `Some(Some(11 digits))`; `Some(None)` for what is no full mobile number; None for one
/// that is not written in digits, with stars for those hidden and dashes between parts or before an extension.
pub fn mobile(written: &str) -> Option<Option<&str>> {
    if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'-')) {
        return None;
    }
    if written.contains('-') {
        // A mobile with an extension is none. Which grouped digits are one is Python's to say.
        return digits_of(&written.replace('-', "")).is_none().then_some(None);
    }
    Some(digits_of(written))
}

/// The 11 digits of a mobile number, without the code of the country.
fn digits_of(number: &str) -> Option<&str> {
    ["0086", "86", ""].iter().find_map(|prefix| number.strip_prefix(prefix).filter(|rest| is_mobile(rest)))
}

fn is_mobile(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    bytes.len() == 11 && bytes[0] == b'1' && (b'3'..=b'9').contains(&bytes[1]) && bytes.iter().all(u8::is_ascii_digit)
}
