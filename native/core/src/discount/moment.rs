//! Points in the shop's local time, as text.
//!
//! Checkout has no clock: Shopify gives the shop's local date and answers, for a few moments named beforehand,
//! whether they have been reached. Local times compare as text, so no time zone arithmetic is needed here.

use crate::{Error, ErrorCode, Result};

const MIDNIGHT: &str = "00:00:00";

/// A local date and time, `YYYY-MM-DDTHH:MM:SS`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(String);

impl Moment {
    /// Reads `2026-11-27` (its midnight) or `2026-11-27T09:30:00`. Errors: `VALUE_INVALID`.
    pub(crate) fn parse(text: &str) -> Result<Moment> {
        let (date, time) = text.split_once('T').unwrap_or((text, MIDNIGHT));
        if is_date(date) && is_time(time) {
            return Ok(Moment(format!("{date}T{time}")));
        }
        Err(Error::new(
            ErrorCode::ValueInvalid,
            "must be a local date or date and time, such as 2026-11-27 or 2026-11-27T09:30:00",
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn date(&self) -> &str {
        self.0.split('T').next().unwrap_or_default()
    }

    pub(crate) fn is_midnight(&self) -> bool {
        self.0.ends_with(MIDNIGHT)
    }
}

pub(crate) fn is_date(text: &str) -> bool {
    let Some([year, month, day]) = numbers(text, '-', [4, 2, 2]) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=days).contains(&day)
}

fn is_time(text: &str) -> bool {
    numbers(text, ':', [2, 2, 2])
        .is_some_and(|[hour, minute, second]| hour < 24 && minute < 60 && second < 60)
}

/// The three numbers of `text`, when each has exactly its number of digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (number, width) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part
            .bytes()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight() {
        let moment = Moment::parse("2026-11-27").unwrap();
        assert_eq!(moment, Moment::parse("2026-11-27T00:00:00").unwrap());
        assert!(moment.is_midnight());
        assert!(moment < Moment::parse("2026-11-27T00:00:01").unwrap());
        assert_eq!(moment.date(), "2026-11-27");
    }

    #[test]
    fn only_real_moments_are_read() {
        for text in ["2024-02-29", "2000-02-29T23:59:59", "2026-12-31T00:00:00"] {
            assert!(Moment::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-04-31",
            "2026-1-01",
            "2026-11-27T24:00:00",
            "2026-11-27T09:60:00",
            "2026-11-27T09:30",
            "2026-11-27T09:30:00Z",
            "2026-11-27 09:30:00",
            "+026-11-27",
            "2026-11-27T",
            "٢٠٢٦-11-27",
        ] {
            let error = Moment::parse(text).unwrap_err();
            assert_eq!(error.code, ErrorCode::ValueInvalid, "{text}");
        }
    }
}
