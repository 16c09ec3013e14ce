//! What an evaluation is about: one order under one program.

use super::base::{Counted, counted};
use super::order::Order;
use super::program::Program;
use crate::exact::{multiply, product};
use crate::{Rate, Result, Rounding};

/// One order under one program, with the numbers that all its rules share.
pub(super) struct Case<'a> {
    pub(super) program: &'a Program,
    pub(super) order: &'a Order,
    /// The sum of the parts' bases.
    pub(super) eligible: i64,
    pub(super) counted: Counted,
    /// Into the program's currency; none when it is needed and not known.
    pub(super) exchange: Option<Rate>,
    /// The factor of what no multiplier singles out, in units of one over the program's factor multiple.
    pub(super) factor: i64,
    /// Exact points are whole numbers over this: minor units, `per`, factors, exchange rate and share.
    pub(super) denominator: i128,
    /// One point at a factor of one over the factor multiple, over the denominator.
    pub(super) flat_weight: i128,
}

impl<'a> Case<'a> {
    pub(super) fn new(program: &'a Program, order: &'a Order, eligible: i64) -> Result<Case<'a>> {
        let counted = counted(program, order)?;
        let exchange = exchange(program, order);
        let flat_weight = product(&[
            order.currency.minor_per_unit(),
            program.per_multiple,
            exchange.map_or(1, Rate::den),
            counted.share.den(),
        ])?;
        let denominator = multiply(flat_weight, i128::from(program.factor_multiple))?;
        let factor = program.factor_multiple;
        Ok(Case {
            program,
            order,
            eligible,
            counted,
            exchange,
            factor,
            denominator,
            flat_weight,
        })
    }

    pub(super) fn base_minor(&self) -> Result<i64> {
        self.counted.share.apply(self.eligible, Rounding::Floor)
    }
}

/// The rate into the currency in which the program is meant, if it is known.
fn exchange(program: &Program, order: &Order) -> Option<Rate> {
    match (program.currency, order.exchange) {
        (None, _) => Some(Rate::ONE),
        (Some(currency), _) if currency == order.currency => Some(Rate::ONE),
        (Some(currency), Some((into, rate))) if into == currency => Some(rate),
        _ => None,
    }
}
