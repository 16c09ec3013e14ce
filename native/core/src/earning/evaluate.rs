//! An order under a program: measured once, in whole numbers over one denominator, and rounded once.

use super::base::{Part, collect_parts};
use super::case::Case;
use super::factors::stack_multipliers;
use super::order::{Customer, Order};
use super::program::Program;
use super::reason::Reason;
use super::rules::{Outcome, fire, part_weights};
use crate::allocate::allocate_wide;
use crate::exact::add;
use crate::{Error, Points, Rate, Result, divide};

/// What an order earns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    pub points: Points,
    /// Why the points are zero; none when they are not.
    pub reason: Option<Reason>,
    /// What counted as spent, in minor units of the order's currency. Where tenders or refunds take a
    /// share away, this is rounded down for show; the points come from the exact share.
    pub base_minor: i64,
    /// The points of each part, in the order of [`part_ids`](super::part_ids); they add up to `points`.
    pub parts: Vec<i64>,
}

/// Memory that one evaluation leaves to the next, so that a batch allocates only for its largest order.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) parts: Vec<Part>,
    pub(super) rules: Vec<Outcome>,
    /// For each multiplier, why it does not apply.
    pub(super) multipliers: Vec<Option<Reason>>,
}

/// A case and what it comes to.
pub(super) struct Measured<'a> {
    pub(super) case: Case<'a>,
    pub(super) reason: Option<Reason>,
    /// Exact points, over the case's denominator.
    pub(super) numerator: i128,
    /// Before caps.
    pub(super) rounded: i64,
    pub(super) points: i64,
}

/// The points of one order, without their split over lines: the fast path, which does not allocate
/// once `scratch` has grown to the largest order.
///
/// Errors: `OVERFLOW`.
pub fn points(program: &Program, order: &Order, scratch: &mut Scratch) -> Result<Points> {
    Ok(Points(measure(program, order, scratch)?.points))
}

/// Evaluates one order, with its points split over its parts by the largest remainder.
///
/// Errors: `OVERFLOW`.
pub fn evaluate(program: &Program, order: &Order, scratch: &mut Scratch) -> Result<Evaluation> {
    let measured = measure(program, order, scratch)?;
    let weights = part_weights(&measured.case, &scratch.parts, &scratch.rules)?;
    let parts = allocate_wide(i128::from(measured.points), &weights)?;
    Ok(Evaluation {
        points: Points(measured.points),
        reason: measured.reason,
        base_minor: measured.case.base_minor()?,
        // No part has more than the whole, which fits.
        parts: parts.into_iter().map(|points| points as i64).collect(),
    })
}

pub(super) fn measure<'a>(
    program: &'a Program,
    order: &'a Order,
    scratch: &mut Scratch,
) -> Result<Measured<'a>> {
    scratch.parts.clear();
    scratch.rules.clear();
    scratch.multipliers.clear();
    let eligible = collect_parts(program, order, &mut scratch.parts)?;
    let mut case = Case::new(program, order, eligible)?;
    let customer = match admitted(&case) {
        Ok(customer) => customer,
        Err(reason) => {
            scratch
                .rules
                .resize(program.rules.len(), Outcome::silent(reason));
            scratch
                .multipliers
                .resize(program.multipliers.items.len(), Some(reason));
            let reason = Some(reason);
            return Ok(Measured {
                case,
                reason,
                numerator: 0,
                rounded: 0,
                points: 0,
            });
        }
    };
    case.factor = stack_multipliers(
        &case,
        customer,
        &mut scratch.parts,
        &mut scratch.multipliers,
    )?;
    let mut numerator = 0;
    for rule in &program.rules {
        let outcome = fire(&case, customer, rule, &scratch.parts)?;
        numerator = add(numerator, outcome.numerator)?;
        scratch.rules.push(outcome);
    }
    let rounded = divide(numerator, case.denominator, program.rounding)?;
    let rounded = i64::try_from(rounded).map_err(|_| Error::overflow())?;
    let points = capped(program, customer, rounded);
    let reason = (points == 0).then(|| zero_reason(numerator, rounded, &scratch.rules));
    Ok(Measured {
        case,
        reason,
        numerator,
        rounded,
        points,
    })
}

fn admitted<'a>(case: &Case<'a>) -> std::result::Result<&'a Customer, Reason> {
    if !case.program.enabled {
        return Err(Reason::ProgramOff);
    }
    if case.order.test {
        return Err(Reason::TestOrder);
    }
    let customer = case.order.customer.as_ref().ok_or(Reason::NoCustomer)?;
    if case.eligible == 0 {
        return Err(Reason::NothingEligible);
    }
    if case.counted.share == Rate::ZERO {
        return Err(Reason::NothingCounted);
    }
    Ok(customer)
}

fn capped(program: &Program, customer: &Customer, points: i64) -> i64 {
    let left_today = |per_day: i64| (per_day - customer.points_today).max(0);
    let cap = program.caps.per_order.unwrap_or(i64::MAX);
    points
        .min(cap)
        .min(program.caps.per_day.map_or(i64::MAX, left_today))
}

fn zero_reason(numerator: i128, rounded: i64, rules: &[Outcome]) -> Reason {
    let any = |wanted: Option<Reason>| rules.iter().any(|rule| rule.why_not == wanted);
    if rounded > 0 {
        Reason::CappedToZero
    } else if numerator > 0 {
        Reason::RoundedToZero
    } else if any(Some(Reason::CurrencyWithoutRate)) && !any(None) {
        Reason::CurrencyWithoutRate
    } else {
        Reason::NoRuleFired
    }
}
