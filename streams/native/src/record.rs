//! Records as the schemas define them: what each field may hold, and what one record holds.
//!
//! The definitions are generated (`fields.rs`); here is what they are made of.

use std::borrow::Cow;

/// One field of a record.
pub struct Field {
    pub name: &'static str,
    pub required: bool,
    pub holds: Holds,
}

/// What a field may hold. Bounds are inclusive; lengths count characters.
pub enum Holds {
    Text { min: usize, max: usize, form: Form },
    Integer { min: i64, max: i64 },
    Number { min: f64, max: f64 },
    Flag,
    Label(&'static [&'static str]),
    One,
    Texts { max: usize, form: Form },
    Labels(&'static [&'static str]),
}

/// The forms of `schemas/terms.py`.
#[derive(Clone, Copy)]
pub enum Form {
    Any,
    /// No control character.
    Id,
    /// Nor a colon.
    Carrier,
    Adcode,
    AdcodePrefix,
    Country,
    Hs6,
    PhotoHash,
    /// A small letter, then small letters, digits and underscores.
    Word,
}

impl Form {
    /// Whether `text` has this form; its length is checked apart.
    pub fn holds(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self {
            Form::Any => true,
            Form::Id => !has_control(text),
            Form::Carrier => !has_control(text) && !bytes.contains(&b':'),
            Form::Adcode => bytes.len() == 6 && is_place(bytes),
            Form::AdcodePrefix => bytes.len() <= 6 && is_place(bytes),
            Form::Country => bytes.len() == 2 && bytes.iter().all(u8::is_ascii_uppercase),
            Form::Hs6 => bytes.len() == 6 && bytes.iter().all(u8::is_ascii_digit),
            Form::PhotoHash => bytes.len() == 16 && bytes.iter().all(u8::is_ascii_hexdigit),
            Form::Word => {
                bytes.first().is_some_and(u8::is_ascii_lowercase)
                    && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            }
        }
    }
}

impl Holds {
    /// What a text stands for in such a field; None where it is not right.
    pub fn text<'a>(&self, text: &'a str) -> Option<Slot<'a>> {
        match self {
            Holds::Text { min, max, form } => {
                is_right(text, *min, *max, *form).then_some(Slot::Text(Cow::Borrowed(text)))
            }
            Holds::Label(labels) => labels.iter().position(|&label| label == text).map(|code| Slot::Code(code as u8)),
            _ => None,
        }
    }

    /// The same of an integer.
    pub fn integer<'a>(&self, number: i64) -> Option<Slot<'a>> {
        match self {
            Holds::Integer { min, max } => (*min..=*max).contains(&number).then_some(Slot::Integer(number)),
            Holds::One => (number == 1).then_some(Slot::Right),
            _ => self.number(number as f64),
        }
    }

    /// The same of any number.
    pub fn number<'a>(&self, number: f64) -> Option<Slot<'a>> {
        match self {
            Holds::Number { min, max } => (*min..=*max).contains(&number).then_some(Slot::Right),
            _ => None,
        }
    }
}

/// Whether a text has this length and form.
pub fn is_right(text: &str, min: usize, max: usize, form: Form) -> bool {
    let long = text.len() > max && text.chars().count() > max;
    // No minimum is above 1 but those of codes, all of whose characters are one byte: their form says so again.
    text.len() >= min && !long && form.holds(text)
}

fn is_place(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit) && bytes.first().is_some_and(|&b| b != b'0')
}

fn has_control(text: &str) -> bool {
    if text.is_ascii() {
        return text.bytes().any(|b| b < 0x20 || b == 0x7f);
    }
    text.chars().any(char::is_control)
}

/// What one field of one record holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Slot<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Integer(i64),
    /// Position among the labels.
    Code(u8),
    Flag(bool),
    Texts(Vec<Cow<'a, str>>),
    /// One bit for each label given.
    Codes(u32),
    /// A value of which only that it is right matters.
    Right,
}

/// The values of one record, field by field. The getters are for fields of their type: another is a fault of ours.
pub struct Record<'a> {
    pub slots: Vec<Slot<'a>>,
}

impl<'a> Record<'a> {
    pub fn new(fields: &[Field]) -> Self {
        Record { slots: vec![Slot::Absent; fields.len()] }
    }

    pub fn clear(&mut self) {
        self.slots.fill(Slot::Absent);
    }

    /// The text of an optional field.
    pub fn text_of(&self, field: usize) -> Option<&str> {
        match &self.slots[field] {
            Slot::Text(text) => Some(text),
            Slot::Absent => None,
            _ => unreachable!("field {field} is no text"),
        }
    }

    pub fn text(&self, field: usize) -> &str {
        self.text_of(field).expect("a required field")
    }

    pub fn integer_of(&self, field: usize) -> Option<i64> {
        match self.slots[field] {
            Slot::Integer(number) => Some(number),
            Slot::Absent => None,
            _ => unreachable!("field {field} is no integer"),
        }
    }

    pub fn integer(&self, field: usize) -> i64 {
        self.integer_of(field).expect("a required field")
    }

    /// The code of a label; `NONE` for an absent one.
    pub fn code(&self, field: usize) -> u8 {
        match self.slots[field] {
            Slot::Code(code) => code,
            Slot::Absent => crate::tables::NONE,
            _ => unreachable!("field {field} has no labels"),
        }
    }

    pub fn texts(&self, field: usize) -> &[Cow<'a, str>] {
        match &self.slots[field] {
            Slot::Texts(texts) => texts,
            _ => unreachable!("field {field} is no list of texts"),
        }
    }

    /// One bit for each label given.
    pub fn codes(&self, field: usize) -> u32 {
        match self.slots[field] {
            Slot::Codes(codes) => codes,
            _ => unreachable!("field {field} is no list of labels"),
        }
    }

    pub fn flag(&self, field: usize) -> bool {
        matches!(self.slots[field], Slot::Flag(true))
    }
}
