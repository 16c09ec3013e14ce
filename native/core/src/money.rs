//! Amounts of money and of points. Both are whole numbers; nothing here ever rounds.

use crate::{Currency, Error, ErrorCode, Result};
use std::fmt;

/// Loyalty points. Signed, because a claw-back is a negative number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Points(pub i64);

impl Points {
    pub fn checked_add(self, other: Points) -> Result<Points> {
        self.0
            .checked_add(other.0)
            .map(Points)
            .ok_or_else(Error::overflow)
    }

    pub fn checked_sub(self, other: Points) -> Result<Points> {
        self.0
            .checked_sub(other.0)
            .map(Points)
            .ok_or_else(Error::overflow)
    }
}

/// An amount in minor units of its currency: 1999 is 19.99 USD, 1999 JPY or 1.999 KWD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

impl Money {
    pub fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Reads decimal text such as `199.00`, `-3.5` or `+12`, exactly.
    ///
    /// Zeros beyond the currency's decimals are fine (Shopify writes `100.0` for yen), other digits
    /// there are not. Errors: `AMOUNT_INVALID`, `AMOUNT_PRECISION`, `OVERFLOW`.
    pub fn parse(text: &str, currency: Currency) -> Result<Money> {
        let (negative, whole, fraction) = split_decimal(text)?;
        let decimals = currency.exponent() as usize;
        let (kept, beyond) = fraction.split_at(fraction.len().min(decimals));
        if beyond.bytes().any(|digit| digit != b'0') {
            return Err(Error::new(
                ErrorCode::AmountPrecision,
                format!("{currency} has {decimals} decimals"),
            ));
        }
        let padding = std::iter::repeat_n(b'0', decimals - kept.len());
        let mut minor: i64 = 0;
        // Digits are gathered with their sign, so that the smallest 64-bit number can be read too.
        for digit in whole.bytes().chain(kept.bytes()).chain(padding) {
            let digit = i64::from(digit - b'0');
            minor = minor
                .checked_mul(10)
                .and_then(|minor| minor.checked_add(if negative { -digit } else { digit }))
                .ok_or_else(Error::overflow)?;
        }
        Ok(Money { minor, currency })
    }

    /// Errors: `CURRENCY_MISMATCH`, `OVERFLOW`.
    pub fn checked_add(self, other: Money) -> Result<Money> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor);
        Ok(Money::new(
            minor.ok_or_else(Error::overflow)?,
            self.currency,
        ))
    }

    /// Errors: `CURRENCY_MISMATCH`, `OVERFLOW`.
    pub fn checked_sub(self, other: Money) -> Result<Money> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor);
        Ok(Money::new(
            minor.ok_or_else(Error::overflow)?,
            self.currency,
        ))
    }

    /// Errors: `OVERFLOW`.
    pub fn checked_mul(self, quantity: i64) -> Result<Money> {
        let minor = self.minor.checked_mul(quantity);
        Ok(Money::new(
            minor.ok_or_else(Error::overflow)?,
            self.currency,
        ))
    }

    fn same_currency(self, other: Money) -> Result<()> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::CurrencyMismatch,
            format!("{} and {} do not mix", self.currency, other.currency),
        ))
    }
}

/// Writes the amount as [`Money::parse`] reads it, with all decimals of the currency and without its code.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let unit = self.currency.minor_per_unit().unsigned_abs();
        let (whole, fraction) = (
            self.minor.unsigned_abs() / unit,
            self.minor.unsigned_abs() % unit,
        );
        match self.currency.exponent() as usize {
            0 => write!(formatter, "{sign}{whole}"),
            decimals => write!(formatter, "{sign}{whole}.{fraction:0decimals$}"),
        }
    }
}

/// Splits plain decimal text into sign, digits before and digits after the point.
pub(crate) fn split_decimal(text: &str) -> Result<(bool, &str, &str)> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => ("", ""),
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || text.len() > 64 || !all_digits(whole) || !all_digits(fraction) {
        return Err(Error::new(
            ErrorCode::AmountInvalid,
            "must be a plain decimal number, such as 199.00",
        ));
    }
    Ok((negative, whole, fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, currency: &str) -> Result<i64> {
        Ok(Money::parse(text, Currency::parse(currency)?)?.minor)
    }

    #[test]
    fn reads_amounts_exactly() {
        for (text, currency, minor) in [
            ("199.00", "USD", 19900),
            ("199", "USD", 19900),
            ("199.5", "USD", 19950),
            ("-3.34", "USD", -334),
            ("+3.34", "USD", 334),
            ("0.0", "JPY", 0),
            ("1999.00", "JPY", 1999),
            ("1.999", "KWD", 1999),
            ("92233720368547758.07", "USD", i64::MAX),
            ("-92233720368547758.08", "USD", i64::MIN),
        ] {
            assert_eq!(parse(text, currency), Ok(minor), "{text} {currency}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        use ErrorCode::{AmountInvalid, AmountPrecision, Overflow};
        for (text, currency, code) in [
            ("", "USD", AmountInvalid),
            (".5", "USD", AmountInvalid),
            ("5.", "USD", AmountInvalid),
            ("-", "USD", AmountInvalid),
            ("--5", "USD", AmountInvalid),
            ("1e3", "USD", AmountInvalid),
            ("1,000.00", "USD", AmountInvalid),
            (" 1", "USD", AmountInvalid),
            ("1.0.0", "USD", AmountInvalid),
            ("١", "USD", AmountInvalid),
            ("NaN", "USD", AmountInvalid),
            ("0.001", "USD", AmountPrecision),
            ("1.5", "JPY", AmountPrecision),
            ("92233720368547758.08", "USD", Overflow),
            ("-92233720368547758.09", "USD", Overflow),
        ] {
            assert_eq!(parse(text, currency).unwrap_err().code, code, "{text}");
        }
        let long = "0".repeat(65);
        assert_eq!(parse(&long, "USD").unwrap_err().code, AmountInvalid);
    }

    #[test]
    fn writes_what_it_reads() {
        for (text, currency) in [
            ("199.00", "USD"),
            ("-0.05", "USD"),
            ("1999", "JPY"),
            ("-1.999", "KWD"),
            ("-92233720368547758.08", "USD"),
        ] {
            let money = Money::parse(text, Currency::parse(currency).unwrap()).unwrap();
            assert_eq!(money.to_string(), text);
        }
    }

    #[test]
    fn arithmetic_is_checked() {
        let dollars = |minor| Money::new(minor, Currency::parse("USD").unwrap());
        let yen = Money::new(1, Currency::parse("JPY").unwrap());
        assert_eq!(dollars(1).checked_add(dollars(2)), Ok(dollars(3)));
        assert_eq!(dollars(1).checked_sub(dollars(2)), Ok(dollars(-1)));
        assert_eq!(dollars(7).checked_mul(3), Ok(dollars(21)));
        let codes = [
            dollars(i64::MAX).checked_add(dollars(1)),
            dollars(i64::MIN).checked_sub(dollars(1)),
            dollars(i64::MAX).checked_mul(2),
            dollars(1).checked_add(yen),
            yen.checked_sub(dollars(1)),
        ]
        .map(|result| result.unwrap_err().code);
        use ErrorCode::{CurrencyMismatch, Overflow};
        assert_eq!(
            codes,
            [
                Overflow,
                Overflow,
                Overflow,
                CurrencyMismatch,
                CurrencyMismatch
            ]
        );
        assert_eq!(Points(2).checked_sub(Points(5)), Ok(Points(-3)));
        assert!(Points(i64::MAX).checked_add(Points(1)).is_err());
    }
}
