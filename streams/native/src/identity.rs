//! Identity numbers that are written plainly. See `streams/flow/describe/identity.py` for what is checked and why.

use crate::tables::{id_faults, regions};

const LENGTH: usize = 18;
const PREFIX: usize = 14;
const AGE_YEARS_MAX: i64 = 110;
pub const CHINA_TIME_MS: i64 = 8 * 3_600_000;
pub const DAY_MS: i64 = 86_400_000;
const WEIGHTS: [u32; LENGTH - 1] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432"; // by weighted sum modulo 11
const MONTH_DAYS: [i64; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// What kind of document a number is of; only the first two can be checked.
#[derive(Clone, Copy, PartialEq)]
pub enum Document {
    Resident,
    Permit,
    Other,
}

/// What an identity number says.
pub struct Number {
    pub norm: String,
    pub masked: bool,
    /// Whether it can exist; None where that cannot be told.
    pub valid: Option<bool>,
    /// Why it cannot, as a code of `id_faults`.
    pub fault: Option<u8>,
    has_prefix: bool,
}

impl Number {
    /// Region and birth date of a resident ID.
    pub fn prefix(&self) -> Option<&str> {
        self.has_prefix.then(|| &self.norm[..PREFIX])
    }
}

/// A number of digits, perhaps with a letter at one end or with stars; None for any other, and for one whose form the
/// data file of documents has to tell. `table`: for each six-digit code what `regions` says.
pub fn number(written: &str, document: Document, picked_up_at: i64, table: &[u8]) -> Option<Number> {
    if !is_plain(written.as_bytes()) {
        return None;
    }
    let norm = written.to_ascii_uppercase();
    let masked = norm.contains('*');
    let bytes = norm.as_bytes();
    let mut number = Number { masked, valid: None, fault: None, has_prefix: false, norm: String::new() };
    if document != Document::Other && !masked {
        if bytes.len() != LENGTH {
            return None;
        }
        number.fault = fault_of(bytes, picked_up_at, table);
        let unknown = number.fault.is_none() && region_of(bytes, table) != regions::ASSIGNED;
        number.valid = (!unknown).then_some(number.fault.is_none());
    }
    number.has_prefix = document == Document::Resident
        && !masked
        && bytes.get(..PREFIX).is_some_and(|prefix| prefix.iter().all(u8::is_ascii_digit));
    number.norm = norm;
    Some(number)
}

fn is_plain(bytes: &[u8]) -> bool {
    let bytes = match bytes {
        [b'H' | b'M' | b'h' | b'm', rest @ ..] | [rest @ .., b'X' | b'x'] => rest,
        _ => bytes,
    };
    !bytes.is_empty() && bytes.iter().all(|&byte| byte.is_ascii_digit() || byte == b'*')
}

/// The first fault of a number of 18 characters.
fn fault_of(bytes: &[u8], picked_up_at: i64, table: &[u8]) -> Option<u8> {
    if !bytes[..LENGTH - 1].iter().all(u8::is_ascii_digit) {
        return Some(id_faults::CHARACTERS);
    }
    let sum: u32 = bytes.iter().zip(WEIGHTS).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    let (year, month, day) = (value(&bytes[6..10]), value(&bytes[10..12]), value(&bytes[12..14]));
    // Dates are the number YYYYMMDD: 110 years are 1,100,000.
    let (birth, pickup) = (year * 10_000 + month * 100 + day, date_number(picked_up_at));
    [
        (region_of(bytes, table) == regions::IMPOSSIBLE, id_faults::REGION),
        (!is_date(year, month, day), id_faults::DATE),
        (birth > pickup, id_faults::FUTURE),
        (birth + AGE_YEARS_MAX * 10_000 < pickup, id_faults::TOO_OLD),
        (CHECKS[(sum % 11) as usize] != bytes[LENGTH - 1], id_faults::CHECK_DIGIT),
    ]
    .into_iter()
    .find_map(|(wrong, fault)| wrong.then_some(fault))
}

fn region_of(bytes: &[u8], table: &[u8]) -> u8 {
    table[value(&bytes[..6]) as usize]
}

fn is_date(year: i64, month: i64, day: i64) -> bool {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = MONTH_DAYS.get(month as usize).copied().unwrap_or(0) + i64::from(leap && month == 2);
    (1..=days).contains(&day)
}

/// The date in China of epoch ms.
fn date_number(at: i64) -> i64 {
    let (year, month, day) = date_of((at + CHINA_TIME_MS).div_euclid(DAY_MS));
    year * 10_000 + month * 100 + day
}

/// Year, month and day of a count of days since 1970, by Howard Hinnant's `civil_from_days`.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153; // from March
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (year_of_era + era * 400 + year, month, day)
}

fn value(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(-1), (1969, 12, 31));
        assert_eq!(date_of(11_016), (2000, 2, 29));
        assert_eq!(date_of(11_017), (2000, 3, 1));
        assert_eq!(date_of(47_481), (2099, 12, 31));
    }
}
