//! What counts as spent: the base of each part of an order, and the share of it that counts.

use super::conditions::ChosenBy;
use super::order::{Line, Order, SHIPPING, TIP};
use super::program::Program;
use crate::{Error, Rate, Result};

/// A line, or what the order itself brings: its shipping and its tip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// In minor units of the order's currency, never negative.
    pub(super) base: i64,
    /// In units of one over the program's factor multiple.
    pub(super) factor: i64,
}

/// Why a line is kept out of the base whatever it costs.
pub(super) enum Exclusion {
    GiftCard,
    Chosen(ChosenBy),
}

/// The ids of an order's parts: its lines, then `shipping` and `tip` where the program counts them.
pub fn part_ids<'o>(program: &Program, order: &'o Order) -> impl Iterator<Item = &'o str> {
    let lines = order.lines.iter().map(|line| order.texts.get(line.id));
    let shipping = program.base.shipping.then_some(SHIPPING);
    lines
        .chain(shipping)
        .chain(program.base.tips.then_some(TIP))
}

/// Fills in the base of every part, each at a factor of one, and returns their sum.
pub(super) fn collect_parts(
    program: &Program,
    order: &Order,
    parts: &mut Vec<Part>,
) -> Result<i64> {
    let mut eligible: i64 = 0;
    let mut push = |base: i64| {
        eligible = eligible.checked_add(base).ok_or_else(Error::overflow)?;
        let factor = program.factor_multiple;
        parts.push(Part { base, factor });
        Ok::<(), Error>(())
    };
    for (index, line) in order.lines.iter().enumerate() {
        let base = line_base(program, order, line)
            .map_err(|error| error.inside_element(index).inside("lines"))?;
        let excluded = exclusion(program, order, line).is_some();
        push(if excluded { 0 } else { base.max(0) })?;
    }
    if program.base.shipping {
        push(shipping_base(program, order)?)?;
    }
    if program.base.tips {
        push(order.tip)?;
    }
    Ok(eligible)
}

pub(super) fn exclusion(program: &Program, order: &Order, line: &Line) -> Option<Exclusion> {
    if line.gift_card && !program.base.gift_cards {
        return Some(Exclusion::GiftCard);
    }
    program
        .exclusions
        .choose(order, line)
        .map(Exclusion::Chosen)
}

/// Price, less the discount and with or without tax as the program says. It is below zero only for
/// orders that contradict themselves; their lines then count as zero.
pub(super) fn line_base(program: &Program, order: &Order, line: &Line) -> Result<i64> {
    line.price
        .checked_sub(counted_discount(program, line))
        .and_then(|base| base.checked_add(tax_effect(program, order, line.tax)))
        .ok_or_else(Error::overflow)
}

pub(super) fn counted_discount(program: &Program, line: &Line) -> i64 {
    if program.base.discounts_reduce {
        line.discount
    } else {
        0
    }
}

/// What a tax adds to a base (when it counts but is not in the price) or takes from it (when it is in
/// the price but does not count).
pub(super) fn tax_effect(program: &Program, order: &Order, tax: i64) -> i64 {
    match (program.base.tax, order.taxes_included) {
        (true, false) => tax,
        (false, true) => -tax,
        _ => 0,
    }
}

pub(super) fn shipping_base(program: &Program, order: &Order) -> Result<i64> {
    let tax = tax_effect(program, order, order.shipping_tax);
    let base = order.shipping.checked_add(tax);
    Ok(base.ok_or_else(Error::overflow)?.max(0))
}

/// The amount of an order that does not count, and the share that does.
pub(super) struct Counted {
    pub(super) uncounted: i64,
    pub(super) share: Rate,
}

/// The counted share of an order.
///
/// A tender pays for the whole order, shipping and tax included, so it cannot be taken off the goods
/// one to one: the goods count in the proportion in which the order does.
pub(super) fn counted(program: &Program, order: &Order) -> Result<Counted> {
    let mut uncounted = order.refunded;
    for (counts, paid) in [
        (program.base.paid_by_gift_card, order.paid_by_gift_card),
        (
            program.base.paid_by_store_credit,
            order.paid_by_store_credit,
        ),
    ] {
        if !counts {
            uncounted = uncounted.checked_add(paid).ok_or_else(Error::overflow)?;
        }
    }
    let share = match uncounted {
        0 => Rate::ONE,
        _ if uncounted >= order.payable => Rate::ZERO,
        _ => Rate::new(order.payable - uncounted, order.payable)?,
    };
    Ok(Counted { uncounted, share })
}
