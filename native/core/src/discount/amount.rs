//! What one offer takes off, given the lines it may touch.

use super::cart::Cart;
use super::conditions::Reason;
use super::config::{Offer, Value};
use super::customer::Customer;
use crate::{Money, Rate, Result, Rounding, divide};
use std::cmp::Ordering;

/// An offer's amount before it is compared with others. All amounts in minor units of the cart's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quote {
    /// What the touched lines (or units) cost.
    pub base_minor: i64,
    pub amount_minor: i64,
    pub how: How,
}

/// The numbers an amount follows from, kept for the explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// `base × share`, rounded half up, at most `at_most_minor`.
    Percent {
        share: Rate,
        at_most_minor: Option<i64>,
    },
    /// The converted amount, at most the base.
    Amount {
        offered_minor: i64,
    },
    /// Whole units of lines: (line, units).
    Units(Vec<(usize, i64)>),
    /// `points × value` rounded down, at most `limit_minor`; `used` points are worth the amount, rounded up.
    Points {
        points: i64,
        value: Rate,
        limit_minor: i64,
        used: i64,
    },
    Delivery,
}

/// What every quote of an evaluation has in common.
pub(crate) struct Terms<'e, 'c> {
    pub customer: &'e Customer,
    pub cart: &'e Cart<'c>,
    /// The factor from the shop's minor units to the cart's.
    pub conversion: Rate,
}

/// The quote of an offer on `lines` (indices), which cost `base_minor` together.
pub(crate) fn quote(
    offer: &Offer,
    terms: &Terms<'_, '_>,
    lines: &[usize],
    base_minor: i64,
) -> std::result::Result<Quote, Reason> {
    let cart = terms.cart;
    let quote = match &offer.value {
        Value::FreeShipping => return free_delivery(cart),
        Value::AmountOff(amount) => amount_off(*amount, terms.conversion, base_minor),
        Value::Percentage { share, at_most, .. } => {
            percentage(*share, *at_most, terms.conversion, base_minor)
        }
        Value::FreeProduct { quantity } => free_units(*quantity, cart, lines),
        Value::PayWithPoints {
            points,
            worth,
            share,
        } => {
            let available = available_points(terms.customer, cart)?;
            point_value(*points, *worth, terms.conversion)
                .and_then(|value| pay_with_points(available, value, *share, base_minor))
        }
    };
    match quote {
        Ok(quote) if quote.amount_minor == 0 => Err(Reason::RoundedToNothing),
        // Rates and amounts were checked when they were read, so nothing else can go wrong.
        other => other.map_err(|_| Reason::Overflow),
    }
}

fn free_delivery(cart: &Cart<'_>) -> std::result::Result<Quote, Reason> {
    match cart.deliveries {
        0 => Err(Reason::NoDelivery),
        _ => Ok(Quote {
            base_minor: cart.delivery_minor,
            amount_minor: cart.delivery_minor,
            how: How::Delivery,
        }),
    }
}

fn amount_off(amount: Money, conversion: Rate, base_minor: i64) -> Result<Quote> {
    let offered_minor = conversion.apply(amount.minor, Rounding::HalfUp)?;
    Ok(Quote {
        base_minor,
        amount_minor: offered_minor.min(base_minor),
        how: How::Amount { offered_minor },
    })
}

fn percentage(
    share: Rate,
    at_most: Option<Money>,
    conversion: Rate,
    base_minor: i64,
) -> Result<Quote> {
    let amount = share.apply(base_minor, Rounding::HalfUp)?;
    let at_most_minor = match at_most {
        Some(money) => Some(conversion.apply(money.minor, Rounding::HalfUp)?),
        None => None,
    };
    Ok(Quote {
        base_minor,
        amount_minor: at_most_minor.map_or(amount, |most| amount.min(most)),
        how: How::Percent {
            share,
            at_most_minor,
        },
    })
}

/// The cheapest units first, as Shopify's own "buy X, get Y" gives them, so that the merchant gives away the least.
fn free_units(quantity: i64, cart: &Cart<'_>, lines: &[usize]) -> Result<Quote> {
    let mut waiting = lines.to_vec();
    let mut left = quantity;
    let mut amount: i64 = 0;
    let mut units = Vec::new();
    while left > 0 {
        // Few units are free as a rule, so looking for the cheapest each time beats sorting all lines.
        let cheapest = (0..waiting.len())
            .min_by(|first, second| by_unit_price(cart, waiting[*first], waiting[*second]));
        let Some(cheapest) = cheapest else {
            break;
        };
        let index = waiting.remove(cheapest);
        let line = &cart.lines[index];
        let taken = left.min(line.quantity);
        left -= taken;
        // Taken is at most the quantity, so the part is at most the line and the sum at most the cart.
        amount += part_of_line(line.subtotal_minor, taken, line.quantity)?;
        units.push((index, taken));
    }
    Ok(Quote {
        base_minor: amount,
        amount_minor: amount,
        how: How::Units(units),
    })
}

/// What `taken` of `quantity` units cost when all of them cost `subtotal_minor`, rounded half up.
pub(crate) fn part_of_line(subtotal_minor: i64, taken: i64, quantity: i64) -> Result<i64> {
    Rate::new(taken, quantity)?.apply(subtotal_minor, Rounding::HalfUp)
}

fn by_unit_price(cart: &Cart<'_>, first: usize, second: usize) -> Ordering {
    let (first, second) = (&cart.lines[first], &cart.lines[second]);
    // a/b < c/d is a×d < c×b, which is exact.
    let left = i128::from(first.subtotal_minor) * i128::from(second.quantity);
    let right = i128::from(second.subtotal_minor) * i128::from(first.quantity);
    left.cmp(&right)
}

/// The points this checkout may spend: those reserved for it, never more than the balance.
fn available_points(customer: &Customer, cart: &Cart<'_>) -> std::result::Result<i64, Reason> {
    let member = customer.member().ok_or(Reason::NotAMember)?;
    let reservation = member.reservation.as_ref();
    let ours = reservation.filter(|reservation| cart.reservation == Some(reservation.id.as_str()));
    let points = ours.ok_or(Reason::NoReservation)?.points;
    match points.min(member.balance) {
        available if available > 0 => Ok(available),
        _ => Err(Reason::NoPoints),
    }
}

/// Minor units of the cart's currency that one point is worth.
fn point_value(points: i64, worth: Money, conversion: Rate) -> Result<Rate> {
    let in_shop = Rate::new(worth.minor, points)?;
    multiplied(in_shop, conversion)
}

/// The product of two rates, reduced before it is formed so that it overflows only when it cannot be held.
fn multiplied(first: Rate, second: Rate) -> Result<Rate> {
    let crossed = Rate::new(first.num(), second.den())?;
    let straight = Rate::new(second.num(), first.den())?;
    let num = crossed.num().checked_mul(straight.num());
    let den = crossed.den().checked_mul(straight.den());
    Rate::new(
        num.ok_or_else(crate::Error::overflow)?,
        den.ok_or_else(crate::Error::overflow)?,
    )
}

fn pay_with_points(points: i64, value: Rate, share: Rate, base_minor: i64) -> Result<Quote> {
    let limit_minor = share.apply(base_minor, Rounding::Floor)?;
    let amount_minor = points_worth(points, value, limit_minor);
    let used = points_needed(amount_minor, value)?;
    Ok(Quote {
        base_minor,
        amount_minor,
        how: How::Points {
            points,
            value,
            limit_minor,
            used,
        },
    })
}

/// Rounded down, because a point is never worth more than was promised; the limit also holds what overflows.
pub(crate) fn points_worth(points: i64, value: Rate, limit_minor: i64) -> i64 {
    value
        .apply(points, Rounding::Floor)
        .map_or(limit_minor, |worth| worth.min(limit_minor))
}

/// The fewest points that are worth `amount_minor`. A value of zero buys nothing and costs nothing.
pub(crate) fn points_needed(amount_minor: i64, value: Rate) -> Result<i64> {
    if amount_minor == 0 {
        return Ok(0);
    }
    let product = i128::from(amount_minor) * i128::from(value.den());
    let needed = divide(product, i128::from(value.num()), Rounding::Ceil)?;
    i64::try_from(needed).map_err(|_| crate::Error::overflow())
}
