//! A strict reader of flat JSON objects.
//!
//! It takes plain records only: one object in valid UTF-8, each known field at most once, of the type, form and range
//! that the schema asks for. Everything else is strange, `None`, and for Python to judge; what is taken here is a part
//! of what Python takes. Order of fields, white space and escapes are all plain, and so are unknown fields that hold
//! one simple value.

use std::borrow::Cow;

use crate::record::{is_right, Field, Form, Holds, Record, Slot};

/// More digits than any field allows, and few enough for an i64.
const DIGITS_MAX: usize = 17;

/// Read one record into `into`, which must be clear.
pub fn read<'a>(text: &'a str, fields: &'static [Field], into: &mut Record<'a>) -> Option<()> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0 };
    reader.object(fields, into)?;
    let all = fields.iter().zip(&into.slots).all(|(field, slot)| !field.required || *slot != Slot::Absent);
    all.then_some(())
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn object(&mut self, fields: &'static [Field], into: &mut Record<'a>) -> Option<()> {
        self.mark(b'{')?;
        if self.next()? == b'}' {
            self.at += 1;
            return self.end();
        }
        let mut expected = 0;
        let mut seen = 0u64; // fields given, null ones too
        loop {
            let name = self.name()?;
            self.mark(b':')?;
            match find(fields, name, expected) {
                Some(number) => {
                    if seen & (1 << number) != 0 {
                        return None;
                    }
                    seen |= 1 << number;
                    into.slots[number] = self.value(&fields[number])?;
                    expected = number + 1;
                }
                None if name.contains('\u{feff}') => return None, // perhaps a field of ours behind a byte order mark
                None => self.unknown()?,
            }
            match self.next()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        self.end()
    }

    /// Nothing follows but white space.
    fn end(&mut self) -> Option<()> {
        self.next().is_none().then_some(())
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn mark(&mut self, mark: u8) -> Option<()> {
        (self.next()? == mark).then(|| self.at += 1)
    }

    /// A name without escapes.
    fn name(&mut self) -> Option<&'a str> {
        self.mark(b'"')?;
        let start = self.at;
        self.skip_plain();
        (*self.bytes.get(self.at)? == b'"').then(|| {
            self.at += 1;
            &self.text[start..self.at - 1]
        })
    }

    /// Go to the next quote, backslash or control character.
    fn skip_plain(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte < 0x20 || byte == b'"' || byte == b'\\' {
                return;
            }
            self.at += 1;
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.mark(b'"')?;
        let start = self.at;
        self.skip_plain();
        match *self.bytes.get(self.at)? {
            b'"' => {
                self.at += 1;
                Some(Cow::Borrowed(&self.text[start..self.at - 1]))
            }
            b'\\' => self.escaped(start).map(Cow::Owned),
            _ => None,
        }
    }

    /// The rest of a string that began at `start` and has an escape at hand.
    fn escaped(&mut self, start: usize) -> Option<String> {
        let mut out = String::with_capacity(self.at - start + 32);
        out.push_str(&self.text[start..self.at]);
        loop {
            match *self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => {
                    self.at += 2;
                    out.push(match self.bytes[self.at - 1..].first()? {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.unicode()?,
                        _ => return None,
                    });
                }
                byte if byte < 0x20 => return None,
                _ => {
                    let from = self.at;
                    self.skip_plain();
                    out.push_str(&self.text[from..self.at]);
                }
            }
        }
    }

    /// The character of `\uXXXX`, or of a pair of them that are halves of one.
    fn unicode(&mut self) -> Option<char> {
        let high = self.four()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high); // None for a low half
        }
        if self.bytes.get(self.at..self.at + 2)? != b"\\u" {
            return None;
        }
        self.at += 2;
        let low = self.four()?;
        (0xdc00..0xe000).contains(&low).then(|| char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)))?
    }

    fn four(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?))
    }

    fn value(&mut self, field: &'static Field) -> Option<Slot<'a>> {
        let byte = self.next()?;
        if byte == b'n' {
            self.word(b"null")?;
            return (!field.required).then_some(Slot::Absent);
        }
        match &field.holds {
            Holds::Text { min, max, form } => self.text(*min, *max, *form).map(Slot::Text),
            Holds::Integer { min, max } => {
                let number = self.integer()?;
                (*min..=*max).contains(&number).then_some(Slot::Integer(number))
            }
            Holds::Number { min, max } => {
                let number = self.number()?;
                (*min..=*max).contains(&number).then_some(Slot::Right)
            }
            Holds::Flag if byte == b't' => self.word(b"true").map(|()| Slot::Flag(true)),
            Holds::Flag => self.word(b"false").map(|()| Slot::Flag(false)),
            Holds::Label(labels) => self.label(labels).map(Slot::Code),
            Holds::One => (self.integer()? == 1).then_some(Slot::Right),
            Holds::Texts { max, form } => self
                .list(Vec::new(), |reader, mut texts| {
                    texts.push(reader.text(0, *max, *form)?);
                    Some(texts)
                })
                .map(Slot::Texts),
            Holds::Labels(labels) => {
                self.list(0u32, |reader, codes| Some(codes | 1 << reader.label(labels)?)).map(Slot::Codes)
            }
        }
    }

    fn text(&mut self, min: usize, max: usize, form: Form) -> Option<Cow<'a, str>> {
        let text = self.string()?;
        is_right(&text, min, max, form).then_some(text)
    }

    fn label(&mut self, labels: &[&str]) -> Option<u8> {
        self.mark(b'"')?;
        let start = self.at;
        self.skip_plain();
        (*self.bytes.get(self.at)? == b'"').then(|| self.at += 1)?;
        let text = &self.bytes[start..self.at - 1];
        labels.iter().position(|label| label.as_bytes() == text).map(|code| code as u8)
    }

    /// An integer from 0 without fraction or exponent.
    fn integer(&mut self) -> Option<i64> {
        let digits = self.digits()?;
        if digits.len() > DIGITS_MAX || self.bytes.get(self.at).is_some_and(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return None;
        }
        Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// A number without exponent.
    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        self.digits()?;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let fraction = self.at;
            self.skip_digits();
            if self.at == fraction {
                return None;
            }
        }
        if self.bytes.get(self.at).is_some_and(|byte| matches!(byte, b'e' | b'E')) {
            return None;
        }
        self.text[start..self.at].parse().ok()
    }

    /// Digits of an integer: at least one, and no 0 before others.
    fn digits(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.skip_digits();
        let digits = &self.bytes[start..self.at];
        (!digits.is_empty() && (digits[0] != b'0' || digits.len() == 1)).then_some(digits)
    }

    fn skip_digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn list<T>(&mut self, mut found: T, mut item: impl FnMut(&mut Self, T) -> Option<T>) -> Option<T> {
        self.mark(b'[')?;
        if self.next()? == b']' {
            self.at += 1;
            return Some(found);
        }
        loop {
            found = item(self, found)?;
            match self.next()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(found)
    }

    /// Skip the simple value of an unknown field.
    fn unknown(&mut self) -> Option<()> {
        match self.next()? {
            b'"' => self.string().map(drop),
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            _ => self.integer().map(drop),
        }
    }
}

/// The number of the field of this name; the one expected, if fields come in the order of the schema.
fn find(fields: &[Field], name: &str, expected: usize) -> Option<usize> {
    let (before, after) = fields.split_at(expected);
    let found = after.iter().position(|field| field.name == name).map(|number| expected + number);
    found.or_else(|| before.iter().position(|field| field.name == name))
}
