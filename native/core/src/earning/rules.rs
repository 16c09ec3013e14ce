//! What one rule gives an order, and which parts its points belong to.

use super::base::Part;
use super::case::Case;
use super::conditions::{Conditions, Filter};
use super::order::{Customer, Order};
use super::program::{Kind, PointsPer, Rule};
use super::reason::Reason;
use crate::allocate::allocate_wide;
use crate::exact::{add, divide_floor, multiply, product};
use crate::{Error, Rate, Result};

/// What became of a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) why_not: Option<Reason>,
    /// The base of the parts that the rule takes, before the counted share.
    pub(super) base: i64,
    /// How often its points are given: items, or goals reached; 1 for rules in proportion.
    pub(super) times: i64,
    /// Exact points, over the case's denominator.
    pub(super) numerator: i128,
}

impl Outcome {
    pub(super) fn silent(reason: Reason) -> Outcome {
        Outcome {
            why_not: Some(reason),
            base: 0,
            times: 0,
            numerator: 0,
        }
    }
}

pub(super) fn fire(
    case: &Case<'_>,
    customer: &Customer,
    rule: &Rule,
    parts: &[Part],
) -> Result<Outcome> {
    let base = match taken_base(case, customer, &rule.conditions, &rule.filter, parts)? {
        Ok(base) => base,
        Err(reason) => return Ok(Outcome::silent(reason)),
    };
    let (times, numerator) = match &rule.kind {
        Kind::PerCurrencyUnit { .. } => {
            let Some(weight) = rate_weight(case, rule)? else {
                return Ok(Outcome::silent(Reason::CurrencyWithoutRate));
            };
            (
                1,
                multiply(factored_base(case, rule, parts, base)?, weight)?,
            )
        }
        Kind::PerItem { points } => {
            let (items, factored) = factored_items(case, rule, parts)?;
            if items == 0 {
                return Ok(Outcome::silent(Reason::NoMatchingLine));
            }
            let weight = multiply(i128::from(*points), case.flat_weight)?;
            (items, multiply(factored, weight)?)
        }
        Kind::PerOrder { points } => (1, flat(case, rule, *points, 1)?),
        Kind::GoalSpend {
            points,
            goal,
            repeat,
        } => match times_reached(case, base, *goal)? {
            None => return Ok(Outcome::silent(Reason::CurrencyWithoutRate)),
            Some(0) => return Ok(Outcome::silent(Reason::GoalNotReached)),
            Some(reached) => {
                let times = if *repeat { reached } else { 1 };
                (times, flat(case, rule, *points, times)?)
            }
        },
    };
    Ok(Outcome {
        why_not: None,
        base,
        times,
        numerator,
    })
}

/// The base that a filter takes, or the reason why a rule or multiplier with these conditions does not apply.
pub(super) fn taken_base(
    case: &Case<'_>,
    customer: &Customer,
    conditions: &Conditions,
    filter: &Filter,
    parts: &[Part],
) -> Result<std::result::Result<i64, Reason>> {
    if let Some(reason) = conditions.unmet(case.order, customer) {
        return Ok(Err(reason));
    }
    let base = match filter.takes_all() {
        true => case.eligible,
        // A sum of some of the parts is at most the sum of all, which was checked.
        false => taken(case.order, filter, parts)
            .map(|(_, part)| part.base)
            .sum(),
    };
    if base == 0 {
        return Ok(Err(Reason::NoMatchingLine));
    }
    let Some(minimum) = conditions.minimum else {
        return Ok(Ok(base));
    };
    Ok(match times_reached(case, base, minimum)? {
        None => Err(Reason::CurrencyWithoutRate),
        Some(0) => Err(Reason::BelowMinimum),
        Some(_) => Ok(base),
    })
}

/// The rate of a rule for this order's currency, and the exchange rate unless the rate is in that
/// currency; none when neither is known.
pub(super) fn applied_rate(case: &Case<'_>, rule: &Rule) -> Option<(PointsPer, Option<Rate>)> {
    let Kind::PerCurrencyUnit { rate, rates } = &rule.kind else {
        return None;
    };
    match rates
        .iter()
        .find(|(currency, _)| *currency == case.order.currency)
    {
        Some((_, own)) => Some((*own, None)),
        None => Some((*rate, Some(case.exchange?))),
    }
}

/// Exact points of each part over the case's denominator; they add up to the order's.
pub(super) fn part_weights(
    case: &Case<'_>,
    parts: &[Part],
    outcomes: &[Outcome],
) -> Result<Vec<i128>> {
    let mut weights = vec![0; parts.len()];
    for (rule, outcome) in case.program.rules.iter().zip(outcomes) {
        if outcome.numerator > 0 {
            add_weights(case, rule, outcome, parts, &mut weights)?;
        }
    }
    Ok(weights)
}

fn add_weights(
    case: &Case<'_>,
    rule: &Rule,
    outcome: &Outcome,
    parts: &[Part],
    weights: &mut [i128],
) -> Result<()> {
    let taken = || taken(case.order, &rule.filter, parts);
    match &rule.kind {
        Kind::PerCurrencyUnit { .. } => {
            let weight = rate_weight(case, rule)?.unwrap_or(0);
            for (index, part) in taken() {
                let base = product(&[part.base, factor(case, rule, part.factor)])?;
                weights[index] = add(weights[index], multiply(base, weight)?)?;
            }
        }
        Kind::PerItem { points } => {
            for (index, part) in taken() {
                let factor = factor(case, rule, part.factor);
                let items = product(&[*points, quantity(case.order, index), factor])?;
                weights[index] = add(weights[index], multiply(items, case.flat_weight)?)?;
            }
        }
        // Points for the whole order belong to its parts by what each brought.
        Kind::PerOrder { .. } | Kind::GoalSpend { .. } => {
            let mut bases = vec![0; parts.len()];
            for (index, part) in taken() {
                bases[index] = i128::from(part.base);
            }
            let shares = allocate_wide(outcome.numerator, &bases)?;
            for (weight, share) in weights.iter_mut().zip(shares) {
                *weight = add(*weight, share)?;
            }
        }
    }
    Ok(())
}

/// The parts that a filter takes and that have a base, with their index.
fn taken<'a>(
    order: &'a Order,
    filter: &'a Filter,
    parts: &'a [Part],
) -> impl Iterator<Item = (usize, &'a Part)> {
    let takes = |(index, part): &(usize, &Part)| part.base > 0 && filter.takes(order, *index);
    parts.iter().enumerate().filter(takes)
}

/// How many whole times the counted part of `base` reaches `amount` of the program's currency; none
/// when the order's currency cannot be exchanged into it.
fn times_reached(case: &Case<'_>, base: i64, amount: Rate) -> Result<Option<i64>> {
    let Some(exchange) = case.exchange else {
        return Ok(None);
    };
    let spent = product(&[base, case.counted.share.num(), exchange.num(), amount.den()])?;
    let unit = case.order.currency.minor_per_unit();
    let goal = product(&[unit, case.counted.share.den(), exchange.den(), amount.num()])?;
    let (times, _) = divide_floor(spent, goal);
    i64::try_from(times)
        .map(Some)
        .map_err(|_| Error::overflow())
}

/// The sum of base times factor over the parts that a rule takes, whose bases add up to `base`.
fn factored_base(case: &Case<'_>, rule: &Rule, parts: &[Part], base: i64) -> Result<i128> {
    // Unless a multiplier singles lines out, every part has the order's factor.
    if !rule.multiplied || !case.program.multipliers_single_out {
        return product(&[base, factor(case, rule, case.factor)]);
    }
    let mut sum = 0;
    for (_, part) in taken(case.order, &rule.filter, parts) {
        sum = add(sum, product(&[part.base, part.factor])?)?;
    }
    Ok(sum)
}

/// The items that a rule takes: their number, and their number times their factors.
fn factored_items(case: &Case<'_>, rule: &Rule, parts: &[Part]) -> Result<(i64, i128)> {
    let (mut items, mut factored) = (0_i64, 0);
    for (index, part) in taken(case.order, &rule.filter, parts) {
        let quantity = quantity(case.order, index);
        items = items.checked_add(quantity).ok_or_else(Error::overflow)?;
        factored = add(
            factored,
            product(&[quantity, factor(case, rule, part.factor)])?,
        )?;
    }
    Ok((items, factored))
}

/// What one minor unit at a factor of one over the factor multiple earns, over the case's
/// denominator; none when the currency has no rate.
fn rate_weight(case: &Case<'_>, rule: &Rule) -> Result<Option<i128>> {
    let Some((rate, exchange)) = applied_rate(case, rule) else {
        return Ok(None);
    };
    // A rate in the order's own currency is not exchanged, so the exchange's part of the denominator is taken out.
    let exchange = exchange.map_or_else(|| case.exchange.map_or(1, Rate::den), Rate::num);
    let per = case.program.per_multiple / rate.per;
    product(&[rate.points, per, exchange, case.counted.share.num()]).map(Some)
}

fn flat(case: &Case<'_>, rule: &Rule, points: i64, times: i64) -> Result<i128> {
    let factored = product(&[points, times, factor(case, rule, case.factor)])?;
    multiply(factored, case.flat_weight)
}

fn factor(case: &Case<'_>, rule: &Rule, factor: i64) -> i64 {
    if rule.multiplied {
        factor
    } else {
        case.program.factor_multiple
    }
}

/// Shipping and tip are no items.
fn quantity(order: &Order, index: usize) -> i64 {
    order.lines.get(index).map_or(0, |line| line.quantity)
}
