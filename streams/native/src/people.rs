//! Senders and recipients: names and mobile numbers that are written plainly. See `streams/flow/describe/people.py`.

use std::collections::HashSet;

/// What the name of a sender says.
pub struct Name {
    pub norm: String,
    pub masked: bool,
    pub placeholder: bool,
}

/// A name of Chinese characters, Latin letters, digits, stars, middle dots and spaces; None for any other.
pub fn name(written: &str, placeholders: &HashSet<String>) -> Option<Name> {
    let mut norm = String::with_capacity(written.len());
    let (mut masked, mut all_letters, mut repeated) = (false, true, true);
    let mut first = None;
    for char in written.chars() {
        let char = match char {
            ' ' => continue,
            'a'..='z' | 'A'..='Z' => char.to_ascii_lowercase(),
            '\u{4e00}'..='\u{9fff}' => char,
            '0'..='9' | '·' => {
                all_letters = false;
                char
            }
            '*' => {
                all_letters = false;
                masked = true;
                char
            }
            _ => return None,
        };
        repeated &= *first.get_or_insert(char) == char;
        norm.push(char);
    }
    first?; // nothing is left
    let repeated = repeated && norm.chars().nth(1).is_some();
    let placeholder = !masked
        && (repeated || placeholders.contains(&norm) || (!all_letters && is_bare_placeholder(&norm, placeholders)));
    Some(Name { norm, masked, placeholder })
}

/// Without digits and punctuation nothing is left, or a placeholder word is (测试01).
fn is_bare_placeholder(norm: &str, placeholders: &HashSet<String>) -> bool {
    let letters: String =
        norm.chars().filter(|char| char.is_ascii_lowercase() || !char.is_ascii() && *char != '·').collect();
    letters.is_empty() || placeholders.contains(&letters)
}

/// A mobile number in one form: `Some(Some(11 digits))`; `Some(None)` for what is no full mobile number; None for one
/// that is not written in digits, with stars for those hidden.
pub fn mobile(written: &str) -> Option<Option<&str>> {
    if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*') {
        return None;
    }
    let number =
        ["0086", "86", ""].iter().find_map(|prefix| written.strip_prefix(prefix).filter(|rest| is_mobile(rest)));
    Some(number)
}

fn is_mobile(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    bytes.len() == 11 && bytes[0] == b'1' && (b'3'..=b'9').contains(&bytes[1]) && bytes.iter().all(u8::is_ascii_digit)
}
