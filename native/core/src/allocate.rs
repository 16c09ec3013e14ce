//! Splitting a whole number into parts that add up to it.

use crate::exact::{add, divide_floor, multiply};
use crate::{Error, ErrorCode, Result};

/// Splits `total` over `weights` by the largest remainder (Hamilton's method): every part is its exact
/// quota `total × weight / sum` rounded down, and what is left goes, one by one, to the largest
/// remainders, the earlier element first among equals. The parts always add up to `total`.
///
/// With no positive weight there is nowhere to put anything, so only a total of zero can be split.
///
/// Errors: `VALUE_NEGATIVE` for a negative total or weight, `VALUE_ZERO` when all weights are zero
/// but the total is not, `OVERFLOW` when `total × weight` leaves 128 bits.
pub fn allocate(total: i64, weights: &[i128]) -> Result<Vec<i64>> {
    let parts = allocate_wide(i128::from(total), weights)?;
    // No part is larger than the total.
    Ok(parts.into_iter().map(|part| part as i64).collect())
}

/// [`allocate`] for totals beyond 64 bits.
pub(crate) fn allocate_wide(total: i128, weights: &[i128]) -> Result<Vec<i128>> {
    if total < 0 || weights.iter().any(|weight| *weight < 0) {
        return Err(Error::new(ErrorCode::ValueNegative, "must not be negative"));
    }
    let mut parts = vec![0; weights.len()];
    if total == 0 {
        return Ok(parts);
    }
    let mut sum = 0;
    for weight in weights {
        sum = add(sum, *weight)?;
    }
    if sum == 0 {
        return Err(Error::new(
            ErrorCode::ValueZero,
            "there is no weight to split by",
        ));
    }
    let mut remainders: Vec<(i128, usize)> = Vec::with_capacity(weights.len());
    let mut left = total;
    for (index, weight) in weights.iter().enumerate() {
        let (quota, remainder) = divide_floor(multiply(total, *weight)?, sum);
        parts[index] = quota;
        left -= quota;
        remainders.push((remainder, index));
    }
    remainders
        .sort_unstable_by(|first, second| second.0.cmp(&first.0).then(first.1.cmp(&second.1)));
    // Each remainder is below one, so fewer units are left than there are elements with a remainder.
    for (_, index) in remainders.iter().take(left as usize) {
        parts[*index] += 1;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_remainders_get_what_is_left() {
        for (total, weights, parts) in [
            (100, vec![1, 1, 1], vec![34, 33, 33]),
            (10, vec![5, 3, 1], vec![6, 3, 1]),
            (1, vec![1, 2, 1], vec![0, 1, 0]),
            (7, vec![0, 5, 0], vec![0, 7, 0]),
            (0, vec![0, 0], vec![0, 0]),
            (0, vec![], vec![]),
            (i64::MAX, vec![1, 1], vec![i64::MAX / 2 + 1, i64::MAX / 2]),
        ] {
            assert_eq!(allocate(total, &weights), Ok(parts), "{total} {weights:?}");
        }
    }

    #[test]
    fn impossible_splits_are_refused() {
        use ErrorCode::{Overflow, ValueNegative, ValueZero};
        for (total, weights, code) in [
            (-1, vec![1], ValueNegative),
            (1, vec![-1, 2], ValueNegative),
            (1, vec![0, 0], ValueZero),
            (1, vec![], ValueZero),
            (2, vec![i128::MAX], Overflow),
            (1, vec![i128::MAX, 1], Overflow),
        ] {
            assert_eq!(allocate(total, &weights).unwrap_err().code, code);
        }
    }
}
