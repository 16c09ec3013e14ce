//! Exact fractions as a trace states them.

use crate::exact::{add, greatest_common_divisor, multiply};
use crate::json::Node;
use crate::{Error, ErrorCode, Result};
use std::fmt;

/// A fraction in lowest terms with a positive denominator, so that equal fractions are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    num: i128,
    den: i128,
}

impl Fraction {
    pub(super) const ZERO: Fraction = Fraction { num: 0, den: 1 };
    pub(super) const ONE: Fraction = Fraction { num: 1, den: 1 };

    /// The denominator must be positive.
    pub(super) fn new(num: i128, den: i128) -> Fraction {
        let divisor = greatest_common_divisor(num.saturating_abs(), den);
        Fraction {
            num: num / divisor,
            den: den / divisor,
        }
    }

    pub(super) fn whole(number: i64) -> Fraction {
        Fraction {
            num: i128::from(number),
            den: 1,
        }
    }

    pub(super) fn num(self) -> i128 {
        self.num
    }

    pub(super) fn den(self) -> i128 {
        self.den
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Fraction> {
        let invalid = || Error::new(ErrorCode::ValueInvalid, "must be a fraction such as 3/2");
        let (num, den) = node.text()?.split_once('/').ok_or_else(invalid)?;
        let read = |text: &str| text.parse::<i128>().map_err(|_| invalid());
        match (read(num)?, read(den)?) {
            (num, den) if den > 0 => Ok(Fraction::new(num, den)),
            _ => Err(invalid()),
        }
    }

    pub(super) fn times(self, other: Fraction) -> Result<Fraction> {
        // Reducing crosswise first keeps the products no larger than the result.
        let first = Fraction::new(self.num, other.den);
        let second = Fraction::new(other.num, self.den);
        Ok(Fraction {
            num: multiply(first.num, second.num)?,
            den: multiply(first.den, second.den)?,
        })
    }

    pub(super) fn plus(self, other: Fraction) -> Result<Fraction> {
        let divisor = greatest_common_divisor(self.den, other.den);
        let first = multiply(self.num, other.den / divisor)?;
        let second = multiply(other.num, self.den / divisor)?;
        Ok(Fraction::new(
            add(first, second)?,
            multiply(self.den / divisor, other.den)?,
        ))
    }

    pub(super) fn minus(self, other: Fraction) -> Result<Fraction> {
        self.plus(other.times(Fraction { num: -1, den: 1 })?)
    }

    pub(super) fn at_most(self, other: Fraction) -> Result<bool> {
        Ok(self.minus(other)?.num <= 0)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.num, self.den)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_exact_and_reduced() {
        let (half, third) = (Fraction::new(2, 4), Fraction::new(1, 3));
        assert_eq!(half.plus(third), Ok(Fraction::new(5, 6)));
        assert_eq!(third.minus(half), Ok(Fraction::new(-1, 6)));
        assert_eq!(half.times(third), Ok(Fraction::new(1, 6)));
        assert_eq!(third.at_most(half), Ok(true));
        assert_eq!(half.at_most(third), Ok(false));
        assert_eq!(half.to_string(), "1/2");
        let large = Fraction::new(i128::MAX, 2);
        assert_eq!(large.times(Fraction::new(2, i128::MAX)), Ok(Fraction::ONE));
        assert_eq!(
            large.times(Fraction::new(5, 3)).unwrap_err().code,
            ErrorCode::Overflow
        );
    }

    #[test]
    fn reads_only_fractions() {
        let read = |text: &str| Fraction::read(&Node::Text(text.into()));
        assert_eq!(read("-6/4"), Ok(Fraction::new(-3, 2)));
        for text in ["", "1", "1/0", "1/-2", "1/2/3", "a/b", "1.5/2", "/"] {
            assert_eq!(
                read(text).unwrap_err().code,
                ErrorCode::ValueInvalid,
                "{text}"
            );
        }
    }
}
