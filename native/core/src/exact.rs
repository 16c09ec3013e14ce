//! Checked whole-number arithmetic in 128 bits, in which every exact sum of the core is kept.

use crate::{Error, Result};

pub(crate) fn add(first: i128, second: i128) -> Result<i128> {
    first.checked_add(second).ok_or_else(Error::overflow)
}

pub(crate) fn multiply(first: i128, second: i128) -> Result<i128> {
    // Nearly all factors are small, and two of 64 bits always fit.
    if let (Ok(first), Ok(second)) = (i64::try_from(first), i64::try_from(second)) {
        return Ok(i128::from(first) * i128::from(second));
    }
    first.checked_mul(second).ok_or_else(Error::overflow)
}

pub(crate) fn product(factors: &[i64]) -> Result<i128> {
    let mut product = 1;
    for factor in factors {
        product = multiply(product, i128::from(*factor))?;
    }
    Ok(product)
}

/// Quotient rounded down and remainder. The denominator must be positive.
pub(crate) fn divide_floor(numerator: i128, denominator: i128) -> (i128, i128) {
    // Dividing 128 bits is a call of its own, and seldom needed.
    if let (Ok(numerator), Ok(denominator)) = (u64::try_from(numerator), u64::try_from(denominator))
    {
        return (
            i128::from(numerator / denominator),
            i128::from(numerator % denominator),
        );
    }
    (
        numerator.div_euclid(denominator),
        numerator.rem_euclid(denominator),
    )
}

/// The greatest common divisor of two numbers that are not negative; 1 when both are zero.
pub(crate) fn greatest_common_divisor(mut first: i128, mut second: i128) -> i128 {
    while second != 0 {
        let (_, remainder) = divide_floor(first, second);
        (first, second) = (second, remainder);
    }
    first.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn products_are_checked() {
        assert_eq!(product(&[]), Ok(1));
        assert_eq!(product(&[i64::MAX, -2]), Ok(-2 * i128::from(i64::MAX)));
        let error = product(&[i64::MAX, i64::MAX, 4]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Overflow);
        assert!(add(i128::MAX, 1).is_err());
    }

    #[test]
    fn division_rounds_down() {
        for (numerator, denominator, floor, remainder) in [
            (7, 2, 3, 1),
            (-7, 2, -4, 1),
            (0, 3, 0, 0),
            (i128::MAX, 2, i128::MAX / 2, 1),
            (i128::MIN + 1, i128::MAX, -1, 0),
            (i128::MIN, 1, i128::MIN, 0),
            (i128::MIN, 3, i128::MIN / 3 - 1, 1),
            (1 << 64, 1 << 63, 2, 0),
        ] {
            assert_eq!(divide_floor(numerator, denominator), (floor, remainder));
        }
    }

    #[test]
    fn greatest_common_divisors() {
        for (first, second, divisor) in [(12, 18, 6), (7, 13, 1), (0, 5, 5), (5, 0, 5), (0, 0, 1)] {
            assert_eq!(greatest_common_divisor(first, second), divisor);
        }
    }
}
