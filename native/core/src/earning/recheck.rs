//! Reading a trace back and computing its points again, from its own numbers alone.

use super::fraction::Fraction;
use super::reason::Reason;
use super::trace::FORMAT;
use crate::allocate::allocate_wide;
use crate::exact::{greatest_common_divisor, multiply};
use crate::json::{self, Node, Object};
use crate::{Error, ErrorCode, Points, Result, Rounding, divide};
use std::collections::BTreeMap;

const LIST_MAX: usize = 100_000;

/// The points that follow from a trace's amounts, rates and factors.
///
/// Every step that the trace states is computed again, from the amounts to the split over the parts.
/// Errors: `TRACE_INCONSISTENT` at the first number that does not follow, `JSON_INVALID`, `FIELD_*`,
/// `VALUE_*` for what is no trace, `OVERFLOW`.
pub fn trace_points(trace: &[u8]) -> Result<Points> {
    let node = json::parse(trace)?;
    let trace = node.object()?;
    expect(trace, "format", FORMAT)?;
    let parts = trace.required("parts", |node| json::list_of(node, LIST_MAX, read_part))?;
    check_amounts(trace, &parts)?;
    let order = Order {
        share: check_share(trace, &parts)?,
        exchange: trace.optional("exchange", Fraction::read)?,
        unit: trace.required("exponent", |node| {
            Ok(Fraction::whole(
                10_i64.pow(json::integer_between(node, 0, 4)? as u32),
            ))
        })?,
        factor: check_factors(trace, &parts)?,
    };
    let exact = check_rules(trace, &parts, &order)?;
    let points = check_rounding_and_caps(trace, exact)?;
    check_split(&parts, exact, points)?;
    Ok(Points(points))
}

struct Part<'t> {
    id: &'t str,
    quantity: i64,
    base: i64,
    multipliers: Vec<&'t str>,
    factor: Fraction,
    rules: Vec<&'t str>,
    exact: Fraction,
    points: i64,
}

fn read_part<'t>(node: &'t Node<'_>) -> Result<Part<'t>> {
    let part = node.object()?;
    Ok(Part {
        id: part.required("id", Node::text)?,
        quantity: part.required("quantity", Node::integer)?,
        base: part.required("base_minor", Node::integer)?,
        multipliers: part.required("multipliers", |node| {
            json::list_of(node, LIST_MAX, Node::text)
        })?,
        factor: part.required("factor", Fraction::read)?,
        rules: part.required("rules", |node| json::list_of(node, LIST_MAX, Node::text))?,
        exact: part.required("exact", Fraction::read)?,
        points: part.required("points", Node::integer)?,
    })
}

/// What the rules of a trace share.
struct Order {
    share: Fraction,
    exchange: Option<Fraction>,
    /// Minor units in one whole unit of the order's currency.
    unit: Fraction,
    factor: Fraction,
}

/// The effects of the amounts on a part add up to its base.
fn check_amounts(trace: &Object<'_>, parts: &[Part<'_>]) -> Result<()> {
    let indices: BTreeMap<&str, usize> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| (part.id, index))
        .collect();
    let mut bases = vec![0_i64; parts.len()];
    let mut add_effect = |node: &Node<'_>| {
        let amount = node.object()?;
        let effect = amount.required("effect_minor", Node::integer)?;
        let id = amount.optional("part", Node::text)?;
        match id.and_then(|id| indices.get(id).copied()) {
            Some(index) => {
                let base = bases[index].checked_add(effect);
                bases[index] = base.ok_or_else(Error::overflow)?;
            }
            // Shipping and tip are no parts where they do not count, and then have no effect.
            None if effect != 0 => return Err(inconsistent("part")),
            None => {}
        }
        Ok(())
    };
    trace.required("amounts", |node| {
        json::list_of(node, LIST_MAX, &mut add_effect)
    })?;
    for (index, (part, base)) in parts.iter().zip(bases).enumerate() {
        if part.base != base || base < 0 {
            return Err(inconsistent("base_minor")
                .inside_element(index)
                .inside("parts"));
        }
    }
    Ok(())
}

/// The bases add up, and the counted share follows from what was payable. Returns the share.
fn check_share(trace: &Object<'_>, parts: &[Part<'_>]) -> Result<Fraction> {
    let mut eligible = 0_i64;
    for part in parts {
        eligible = eligible
            .checked_add(part.base)
            .ok_or_else(Error::overflow)?;
    }
    expect(trace, "eligible_minor", eligible)?;
    let payable = i128::from(trace.required("payable_minor", Node::integer)?);
    let uncounted = i128::from(trace.required("uncounted_minor", Node::integer)?);
    let expected = match uncounted {
        0 => Fraction::ONE,
        _ if uncounted >= payable => Fraction::ZERO,
        _ => Fraction::new(payable - uncounted, payable),
    };
    let share = trace.required("counted_share", Fraction::read)?;
    if share != expected {
        return Err(inconsistent("counted_share"));
    }
    let base = share.times(Fraction::whole(eligible))?;
    expect(
        trace,
        "base_minor",
        whole(divide(base.num(), base.den(), Rounding::Floor)?)?,
    )?;
    Ok(share)
}

/// Every factor is what the multipliers that reach it stack up to. Returns the order's.
fn check_factors(trace: &Object<'_>, parts: &[Part<'_>]) -> Result<Fraction> {
    let additive = trace.required("stacking", |node| match node.text()? {
        "additive" => Ok(true),
        "best_of" => Ok(false),
        _ => Err(inconsistent("stacking")),
    })?;
    let cap = trace.optional("factor_cap", Fraction::read)?;
    let mut multipliers = Vec::new();
    trace.required("multipliers", |node| {
        json::list_of(node, LIST_MAX, |node| {
            let multiplier = node.object()?;
            let why_not = multiplier.optional("why_not", Node::text)?;
            // One that was beaten still took part in the stacking.
            let met = why_not.is_none_or(|why_not| why_not == Reason::BetterMultiplier.as_str());
            if why_not.is_none() != multiplier.required("applied", Node::boolean)? {
                return Err(inconsistent("applied"));
            }
            let id = multiplier.required("id", Node::text)?;
            let takes_all = multiplier.required("takes_all", Node::boolean)?;
            let factor = multiplier.required("factor", Fraction::read)?;
            if met {
                multipliers.push((id, takes_all, factor));
            }
            Ok(())
        })
    })?;
    let stacked = |reaches: &dyn Fn(&str, bool) -> bool| {
        let mut stacked = Fraction::ONE;
        for (_, _, factor) in multipliers
            .iter()
            .filter(|(id, takes_all, _)| reaches(id, *takes_all))
        {
            if additive {
                stacked = stacked.plus(factor.minus(Fraction::ONE)?)?;
            } else if stacked.at_most(*factor)? {
                stacked = *factor;
            }
        }
        match cap {
            Some(cap) if cap.at_most(stacked)? => Ok(cap),
            _ => Ok(stacked),
        }
    };
    for (index, part) in parts.iter().enumerate() {
        if part.factor != stacked(&|id, _| part.multipliers.contains(&id))? {
            return Err(inconsistent("factor").inside_element(index).inside("parts"));
        }
    }
    let factor = trace.required("factor", Fraction::read)?;
    match factor == stacked(&|_, takes_all| takes_all)? {
        true => Ok(factor),
        false => Err(inconsistent("factor")),
    }
}

/// Every rule's exact points follow from its rate and parts. Returns their sum.
fn check_rules(trace: &Object<'_>, parts: &[Part<'_>], order: &Order) -> Result<Fraction> {
    let mut sum = Fraction::ZERO;
    trace.required("rules", |node| {
        json::list_of(node, LIST_MAX, |node| {
            let rule = node.object()?;
            let stated = rule.required("exact", Fraction::read)?;
            if stated != rule_points(rule, parts, order)? {
                return Err(inconsistent("exact"));
            }
            sum = sum.plus(stated)?;
            Ok(())
        })
    })?;
    match sum == trace.required("exact", Fraction::read)? {
        true => Ok(sum),
        false => Err(inconsistent("exact")),
    }
}

fn rule_points(rule: &Object<'_>, parts: &[Part<'_>], order: &Order) -> Result<Fraction> {
    let why_not = rule.optional("why_not", Node::text)?;
    if why_not.is_none() != rule.required("fired", Node::boolean)? {
        return Err(inconsistent("fired"));
    }
    if why_not.is_some() {
        return Ok(Fraction::ZERO);
    }
    let id = rule.required("id", Node::text)?;
    let points = Fraction::whole(rule.required("points", Node::integer)?);
    let multiplied = rule.required("multiplied", Node::boolean)?;
    let taken = || parts.iter().filter(|part| part.rules.contains(&id));
    let base: i128 = taken().map(|part| i128::from(part.base)).sum();
    expect(rule, "base_minor", whole(base)?)?;
    let factored = |amount: fn(&Part<'_>) -> i64| {
        taken().try_fold(Fraction::ZERO, |sum, part| {
            let factor = if multiplied {
                part.factor
            } else {
                Fraction::ONE
            };
            sum.plus(factor.times(Fraction::whole(amount(part)))?)
        })
    };
    let order_factor = if multiplied {
        order.factor
    } else {
        Fraction::ONE
    };
    let times = match rule.required("kind", Node::text)? {
        "per_currency_unit" => {
            let per = rule.required("per", |node| json::integer_between(node, 1, i64::MAX))?;
            let exchange = match rule.required("exchanged", Node::boolean)? {
                true => order.exchange.ok_or_else(|| inconsistent("exchanged"))?,
                false => Fraction::ONE,
            };
            let rate = points.times(Fraction::new(1, i128::from(per)))?;
            let units = over(factored(|part| part.base)?, order.unit)?;
            expect(rule, "times", 1)?;
            return units.times(rate)?.times(exchange)?.times(order.share);
        }
        "per_item" => {
            let items: i128 = taken().map(|part| i128::from(part.quantity)).sum();
            expect(rule, "times", whole(items)?)?;
            return factored(|part| part.quantity)?.times(points);
        }
        "per_order" => 1,
        "goal_spend" => goals_reached(rule, base, order)?,
        _ => return Err(inconsistent("kind")),
    };
    expect(rule, "times", times)?;
    points.times(Fraction::whole(times))?.times(order_factor)
}

/// How often a goal is paid for: once, or as often as the spent amount reaches it.
fn goals_reached(rule: &Object<'_>, base: i128, order: &Order) -> Result<i64> {
    let goal = rule.required("goal", Fraction::read)?;
    let exchange = order.exchange.ok_or_else(|| inconsistent("fired"))?;
    let spent = over(Fraction::new(base, 1), order.unit)?
        .times(exchange)?
        .times(order.share)?;
    if goal.num() <= 0 || !goal.at_most(spent)? {
        return Err(inconsistent("fired"));
    }
    if !rule.required("repeat", Node::boolean)? {
        return Ok(1);
    }
    let reached = over(spent, goal)?;
    whole(divide(reached.num(), reached.den(), Rounding::Floor)?)
}

/// Rounding, remainder and caps follow from the exact points. Returns the points.
fn check_rounding_and_caps(trace: &Object<'_>, exact: Fraction) -> Result<i64> {
    let rounding = trace.required("rounding", |node| Rounding::parse(node.text()?))?;
    let rounded = whole(divide(exact.num(), exact.den(), rounding)?)?;
    expect(trace, "rounded", rounded)?;
    if trace.required("remainder", Fraction::read)? != exact.minus(Fraction::whole(rounded))? {
        return Err(inconsistent("remainder"));
    }
    let cap = trace.required("caps", |node| {
        let caps = node.object()?;
        let today = caps.required("points_today", Node::integer)?;
        let per_order = caps.optional("per_order", Node::integer)?;
        let per_day = caps.optional("per_day", Node::integer)?;
        let left_today = per_day.map(|per_day| per_day.saturating_sub(today).max(0));
        Ok(per_order
            .unwrap_or(i64::MAX)
            .min(left_today.unwrap_or(i64::MAX)))
    })?;
    let points = rounded.min(cap);
    expect(trace, "points", points)?;
    match (points == 0) == trace.optional("reason", Node::text)?.is_some() {
        true => Ok(points),
        false => Err(inconsistent("reason")),
    }
}

/// The parts' exact points add up, and their points are the largest-remainder split of the order's.
fn check_split(parts: &[Part<'_>], exact: Fraction, points: i64) -> Result<()> {
    let mut denominator = 1;
    let mut sum = Fraction::ZERO;
    for part in parts {
        let divisor = greatest_common_divisor(denominator, part.exact.den());
        denominator = multiply(denominator / divisor, part.exact.den())?;
        sum = sum.plus(part.exact)?;
    }
    if sum != exact {
        return Err(inconsistent("parts"));
    }
    let mut weights = Vec::with_capacity(parts.len());
    for part in parts {
        weights.push(multiply(part.exact.num(), denominator / part.exact.den())?);
    }
    let split = allocate_wide(i128::from(points), &weights)?;
    for (index, (part, share)) in parts.iter().zip(split).enumerate() {
        if i128::from(part.points) != share {
            return Err(inconsistent("points").inside_element(index).inside("parts"));
        }
    }
    Ok(())
}

/// Division by a positive fraction.
fn over(dividend: Fraction, divisor: Fraction) -> Result<Fraction> {
    dividend.times(Fraction::new(divisor.den(), divisor.num()))
}

fn whole(number: i128) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::overflow())
}

fn expect(object: &Object<'_>, field: &str, expected: i64) -> Result<()> {
    match object.required(field, Node::integer)? == expected {
        true => Ok(()),
        false => Err(inconsistent(field)),
    }
}

fn inconsistent(field: &str) -> Error {
    let message = "does not follow from the numbers before it";
    Error::new(ErrorCode::TraceInconsistent, message).inside(field)
}
