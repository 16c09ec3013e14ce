//! Exact rates, and division with its rounding named at every call.

use crate::exact::{divide_floor, greatest_common_divisor};
use crate::money::split_decimal;
use crate::{Error, ErrorCode, Result};

/// How a quotient becomes a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
    /// To the nearest whole number, halves away from zero, as `ROUND_HALF_UP` of Python's decimal does.
    HalfUp,
    /// To the nearest whole number, halves to the even one.
    HalfEven,
}

impl Rounding {
    /// Errors: `VALUE_INVALID`.
    pub fn parse(text: &str) -> Result<Rounding> {
        match text {
            "floor" => Ok(Rounding::Floor),
            "ceil" => Ok(Rounding::Ceil),
            "half_up" => Ok(Rounding::HalfUp),
            "half_even" => Ok(Rounding::HalfEven),
            _ => Err(Error::new(
                ErrorCode::ValueInvalid,
                "must be floor, ceil, half_up or half_even",
            )),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Rounding::Floor => "floor",
            Rounding::Ceil => "ceil",
            Rounding::HalfUp => "half_up",
            Rounding::HalfEven => "half_even",
        }
    }
}

/// `numerator / denominator` as a whole number. The denominator must be positive.
///
/// Errors: `VALUE_ZERO` and `VALUE_NEGATIVE` for the denominator.
pub fn divide(numerator: i128, denominator: i128, rounding: Rounding) -> Result<i128> {
    if denominator <= 0 {
        return Err(refused_denominator(denominator == 0));
    }
    let (floor, remainder) = divide_floor(numerator, denominator);
    // Comparing the remainder with its complement asks "more than half?" without doubling anything.
    let complement = denominator - remainder;
    let up = match rounding {
        Rounding::Floor => false,
        Rounding::Ceil => remainder > 0,
        Rounding::HalfUp => remainder > complement || (remainder == complement && numerator > 0),
        Rounding::HalfEven => {
            remainder > complement || (remainder == complement && floor.rem_euclid(2) == 1)
        }
    };
    // The quotient can only reach the end of the range when the denominator is 1, and then nothing is rounded up.
    Ok(if up { floor + 1 } else { floor })
}

/// A non-negative exact fraction in lowest terms: an exchange rate, a percentage, a multiplier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    num: i64,
    den: i64,
}

impl Rate {
    pub const ZERO: Rate = Rate { num: 0, den: 1 };
    pub const ONE: Rate = Rate { num: 1, den: 1 };

    /// Errors: `VALUE_NEGATIVE`, `VALUE_ZERO` (for the denominator), each with the path `num` or `den`.
    pub fn new(num: i64, den: i64) -> Result<Rate> {
        if den <= 0 {
            return Err(refused_denominator(den == 0).inside("den"));
        }
        if num < 0 {
            let error = Error::new(ErrorCode::ValueNegative, "must not be negative");
            return Err(error.inside("num"));
        }
        let divisor = greatest_common_divisor(i128::from(num), i128::from(den)) as i64;
        Ok(Rate {
            num: num / divisor,
            den: den / divisor,
        })
    }

    /// Reads decimal text such as `1.0873` exactly, as the fraction 10873/10000.
    ///
    /// Errors: `AMOUNT_INVALID`, `VALUE_NEGATIVE`, `OVERFLOW`.
    pub fn parse(text: &str) -> Result<Rate> {
        let (negative, whole, fraction) = split_decimal(text)?;
        if negative {
            return Err(Error::new(ErrorCode::ValueNegative, "must not be negative"));
        }
        let fraction = fraction.trim_end_matches('0');
        let mut num: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            num = num
                .checked_mul(10)
                .and_then(|num| num.checked_add(i64::from(digit - b'0')))
                .ok_or_else(Error::overflow)?;
        }
        let den = 10_i64
            .checked_pow(fraction.len() as u32)
            .ok_or_else(Error::overflow)?;
        Rate::new(num, den)
    }

    pub fn num(self) -> i64 {
        self.num
    }

    pub fn den(self) -> i64 {
        self.den
    }

    /// `amount × rate`, rounded once. Errors: `OVERFLOW`.
    pub fn apply(self, amount: i64, rounding: Rounding) -> Result<i64> {
        // Two 64-bit factors always fit into 128 bits.
        let product = i128::from(amount) * i128::from(self.num);
        let quotient = divide(product, i128::from(self.den), rounding)?;
        i64::try_from(quotient).map_err(|_| Error::overflow())
    }
}

fn refused_denominator(is_zero: bool) -> Error {
    match is_zero {
        true => Error::new(ErrorCode::ValueZero, "must not be zero"),
        false => Error::new(ErrorCode::ValueNegative, "must not be negative"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rounding_on_both_sides_of_zero() {
        use Rounding::{Ceil, Floor, HalfEven, HalfUp};
        for (numerator, denominator, floor, ceil, half_up, half_even) in [
            (5, 2, 2, 3, 3, 2),
            (7, 2, 3, 4, 4, 4),
            (-5, 2, -3, -2, -3, -2),
            (-7, 2, -4, -3, -4, -4),
            (5, 3, 1, 2, 2, 2),
            (4, 3, 1, 2, 1, 1),
            (-4, 3, -2, -1, -1, -1),
            (6, 3, 2, 2, 2, 2),
            (0, 7, 0, 0, 0, 0),
            (i128::MAX, 1, i128::MAX, i128::MAX, i128::MAX, i128::MAX),
            (i128::MIN, 1, i128::MIN, i128::MIN, i128::MIN, i128::MIN),
        ] {
            for (rounding, expected) in [
                (Floor, floor),
                (Ceil, ceil),
                (HalfUp, half_up),
                (HalfEven, half_even),
            ] {
                assert_eq!(
                    divide(numerator, denominator, rounding),
                    Ok(expected),
                    "{numerator}/{denominator} {rounding:?}"
                );
            }
        }
        assert_eq!(divide(1, 0, Floor).unwrap_err().code, ErrorCode::ValueZero);
        assert_eq!(
            divide(1, -1, Floor).unwrap_err().code,
            ErrorCode::ValueNegative
        );
    }

    #[test]
    fn rates_are_exact_and_reduced() {
        let rate = Rate::parse("1.08730").unwrap();
        assert_eq!((rate.num(), rate.den()), (10873, 10000));
        let half = Rate::new(50, 100).unwrap();
        assert_eq!((half.num(), half.den()), (1, 2));
        assert_eq!(half.apply(5, Rounding::HalfUp), Ok(3));
        assert_eq!(half.apply(-5, Rounding::Floor), Ok(-3));
        assert_eq!(Rate::parse("0"), Rate::new(0, 1));
    }

    #[test]
    fn rates_refuse_what_is_no_rate() {
        use ErrorCode::{AmountInvalid, Overflow, ValueNegative, ValueZero};
        for (text, code) in [
            ("", AmountInvalid),
            ("1/2", AmountInvalid),
            ("-1", ValueNegative),
            ("9223372036854775808", Overflow),
            ("0.0000000000000000001", Overflow),
        ] {
            assert_eq!(Rate::parse(text).unwrap_err().code, code, "{text}");
        }
        assert_eq!(Rate::new(1, 0).unwrap_err().code, ValueZero);
        assert_eq!(Rate::new(1, -1).unwrap_err().path, "den");
        assert_eq!(Rate::new(-1, 1).unwrap_err().path, "num");
        let two = Rate::new(2, 1).unwrap();
        let error = two.apply(i64::MAX, Rounding::Floor).unwrap_err();
        assert_eq!(error.code, Overflow);
    }
}
