//! Multipliers: which apply to an order, and what they make of each of its parts.

use super::base::Part;
use super::case::Case;
use super::order::Customer;
use super::program::{Multiplier, Program, Stacking};
use super::reason::Reason;
use super::rules::taken_base;
use crate::{Rate, Result};

/// Notes for each multiplier why it does not apply, gives each part its factor, and returns the
/// factor of what no filter singles out. Factors are in units of one over the program's factor multiple.
pub(super) fn stack_multipliers(
    case: &Case<'_>,
    customer: &Customer,
    parts: &mut [Part],
    why_not: &mut Vec<Option<Reason>>,
) -> Result<i64> {
    let program = case.program;
    if program.multipliers.items.is_empty() {
        return Ok(program.factor_multiple);
    }
    for multiplier in &program.multipliers.items {
        let (conditions, filter) = (&multiplier.conditions, &multiplier.filter);
        let base = taken_base(case, customer, conditions, filter, parts)?;
        why_not.push(base.err());
    }
    let active = || {
        let pairs = program.multipliers.items.iter().zip(why_not.iter());
        pairs
            .filter(|(_, why_not)| why_not.is_none())
            .map(|(multiplier, _)| multiplier)
    };
    let of_all = stacked(
        program,
        active().filter(|multiplier| multiplier.filter.takes_all()),
    );
    let singles_out = active().any(|multiplier| !multiplier.filter.takes_all());
    for (index, part) in parts.iter_mut().enumerate() {
        part.factor = match singles_out {
            true => stacked(
                program,
                active().filter(|multiplier| multiplier.filter.takes(case.order, index)),
            ),
            false => of_all,
        };
    }
    Ok(of_all)
}

/// One factor out of many, at least one and at most the cap.
fn stacked<'p>(program: &Program, multipliers: impl Iterator<Item = &'p Multiplier>) -> i64 {
    let one = program.factor_multiple;
    let factors = multipliers.map(|multiplier| scaled(program, multiplier.factor));
    // A factor is at most 10^6 and the multiple at most 10^9, so 64 of them add up without overflow.
    let factor = match program.multipliers.stacking {
        Stacking::BestOf => factors.fold(one, i64::max),
        Stacking::Additive => factors.fold(one, |sum, factor| sum + (factor - one)),
    };
    program
        .multipliers
        .cap
        .map_or(factor, |cap| factor.min(scaled(program, cap)))
}

/// A factor in units of one over the program's factor multiple, which its denominator divides.
fn scaled(program: &Program, factor: Rate) -> i64 {
    factor.num() * (program.factor_multiple / factor.den())
}

/// The multiplier that sets the factor of a part under best-of stacking: the first of the largest.
pub(super) fn best<'a>(
    case: &Case<'a>,
    why_not: &[Option<Reason>],
    part: usize,
) -> Option<&'a Multiplier> {
    let program = case.program;
    let mut best: Option<&Multiplier> = None;
    for (multiplier, why_not) in program.multipliers.items.iter().zip(why_not) {
        let factor = scaled(program, multiplier.factor);
        let better = best.is_none_or(|best| factor > scaled(program, best.factor));
        if why_not.is_none() && multiplier.filter.takes(case.order, part) && better {
            best = Some(multiplier);
        }
    }
    best
}
