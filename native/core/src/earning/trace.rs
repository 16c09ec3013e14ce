//! The explanation of an evaluation: every number that led to the points, always in the same fields.
//!
//! Fractions are texts such as `58698/10`, because they can exceed what JSON readers keep exactly.

use super::base::{Exclusion, counted_discount, exclusion, line_base, part_ids, tax_effect};
use super::case::Case;
use super::conditions::ChosenBy;
use super::evaluate::{Measured, Scratch, measure};
use super::factors::best;
use super::fraction::Fraction;
use super::order::{Order, SHIPPING, TIP};
use super::program::{Kind, Multiplier, Program, Rule, Stacking};
use super::reason::Reason;
use super::rules::{Outcome, applied_rate, part_weights};
use crate::allocate::allocate_wide;
use crate::{Currency, Error, ErrorCode, Rate, Result};
use serde::Serialize;

/// The version of this format; it rises when a field changes its meaning.
pub(super) const FORMAT: i64 = 1;

#[derive(Serialize)]
struct Trace<'a> {
    format: i64,
    program_version: i64,
    program_currency: Option<&'a str>,
    currency: &'a str,
    exponent: u32,
    reason: Option<&'a str>,
    amounts: Vec<Amount<'a>>,
    eligible_minor: i64,
    payable_minor: i64,
    uncounted_minor: i64,
    counted_share: String,
    base_minor: i64,
    exchange: Option<String>,
    stacking: &'a str,
    factor_cap: Option<String>,
    multipliers: Vec<MultiplierTrace<'a>>,
    factor: String,
    rules: Vec<RuleTrace<'a>>,
    exact: String,
    rounding: &'a str,
    rounded: i64,
    remainder: String,
    caps: Caps,
    points: i64,
    parts: Vec<PartTrace<'a>>,
}

/// An amount of the order and what it did to the base: entered it, left it, or stood aside (0).
#[derive(Serialize)]
struct Amount<'a> {
    part: Option<&'a str>,
    reason: &'static str,
    amount_minor: i64,
    effect_minor: i64,
}

#[derive(Serialize)]
struct MultiplierTrace<'a> {
    id: &'a str,
    source: &'a str,
    factor: String,
    takes_all: bool,
    applied: bool,
    why_not: Option<&'static str>,
}

#[derive(Serialize)]
struct RuleTrace<'a> {
    id: &'a str,
    kind: &'a str,
    fired: bool,
    why_not: Option<&'static str>,
    base_minor: i64,
    points: i64,
    per: Option<i64>,
    exchanged: bool,
    goal: Option<String>,
    repeat: bool,
    times: i64,
    multiplied: bool,
    exact: String,
}

#[derive(Serialize)]
struct Caps {
    per_order: Option<i64>,
    per_day: Option<i64>,
    points_today: i64,
}

#[derive(Serialize)]
struct PartTrace<'a> {
    id: &'a str,
    quantity: i64,
    base_minor: i64,
    multipliers: Vec<&'a str>,
    factor: String,
    rules: Vec<&'a str>,
    exact: String,
    points: i64,
}

/// The trace of an order's evaluation as JSON with its fields in a fixed order.
///
/// Errors: `OVERFLOW`.
pub fn trace(program: &Program, order: &Order, scratch: &mut Scratch) -> Result<Vec<u8>> {
    let measured = measure(program, order, scratch)?;
    let case = &measured.case;
    let exact = Fraction::new(measured.numerator, case.denominator);
    let trace = Trace {
        format: FORMAT,
        program_version: program.version,
        program_currency: program.currency.as_ref().map(Currency::code),
        currency: order.currency.code(),
        exponent: order.currency.exponent(),
        reason: measured.reason.map(Reason::as_str),
        amounts: amounts(program, order)?,
        eligible_minor: case.eligible,
        payable_minor: order.payable,
        uncounted_minor: case.counted.uncounted,
        counted_share: rate_text(case.counted.share),
        base_minor: case.base_minor()?,
        exchange: case.exchange.map(rate_text),
        stacking: program.multipliers.stacking.as_str(),
        factor_cap: program.multipliers.cap.map(rate_text),
        multipliers: multipliers(case, scratch),
        factor: factor_text(program, case.factor),
        rules: rules(case, &scratch.rules),
        exact: exact.to_string(),
        rounding: program.rounding.as_str(),
        rounded: measured.rounded,
        remainder: exact.minus(Fraction::whole(measured.rounded))?.to_string(),
        caps: Caps {
            per_order: program.caps.per_order,
            per_day: program.caps.per_day,
            points_today: order
                .customer
                .as_ref()
                .map_or(0, |customer| customer.points_today),
        },
        points: measured.points,
        parts: parts(&measured, scratch)?,
    };
    // Structs of numbers and texts always serialise; the error type asks for an answer all the same.
    serde_json::to_vec(&trace)
        .map_err(|error| Error::new(ErrorCode::JsonInvalid, error.to_string()))
}

fn rules<'a>(case: &Case<'a>, outcomes: &[Outcome]) -> Vec<RuleTrace<'a>> {
    let explain = |(rule, outcome): (&'a Rule, &Outcome)| {
        let (points, per, exchanged) = match &rule.kind {
            Kind::PerCurrencyUnit { rate, .. } => {
                let (rate, exchange) = applied_rate(case, rule).unwrap_or((*rate, None));
                (rate.points, Some(rate.per), exchange.is_some())
            }
            Kind::PerItem { points }
            | Kind::PerOrder { points }
            | Kind::GoalSpend { points, .. } => (*points, None, false),
        };
        let (goal, repeat) = match &rule.kind {
            Kind::GoalSpend { goal, repeat, .. } => (Some(rate_text(*goal)), *repeat),
            _ => (None, false),
        };
        RuleTrace {
            id: &rule.id,
            kind: rule.kind.as_str(),
            fired: outcome.why_not.is_none(),
            why_not: outcome.why_not.map(Reason::as_str),
            base_minor: outcome.base,
            points,
            per,
            exchanged,
            goal,
            repeat,
            times: outcome.times,
            multiplied: rule.multiplied,
            exact: Fraction::new(outcome.numerator, case.denominator).to_string(),
        }
    };
    case.program
        .rules
        .iter()
        .zip(outcomes)
        .map(explain)
        .collect()
}

fn multipliers<'a>(case: &Case<'a>, scratch: &Scratch) -> Vec<MultiplierTrace<'a>> {
    let (program, why_not) = (case.program, &scratch.multipliers);
    let parts = scratch
        .parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.base > 0);
    let used: Vec<&Multiplier> = match program.multipliers.stacking {
        Stacking::Additive => program.multipliers.items.iter().collect(),
        Stacking::BestOf => parts
            .filter_map(|(index, _)| best(case, why_not, index))
            .collect(),
    };
    let explain = |(multiplier, why_not): (&'a Multiplier, &Option<Reason>)| {
        let beaten = !used.iter().any(|used| used.id == multiplier.id);
        let why_not = why_not.or(beaten.then_some(Reason::BetterMultiplier));
        MultiplierTrace {
            id: &multiplier.id,
            source: multiplier.source,
            factor: rate_text(multiplier.factor),
            takes_all: multiplier.filter.takes_all(),
            applied: why_not.is_none(),
            why_not: why_not.map(Reason::as_str),
        }
    };
    program
        .multipliers
        .items
        .iter()
        .zip(why_not)
        .map(explain)
        .collect()
}

fn parts<'a>(measured: &Measured<'a>, scratch: &Scratch) -> Result<Vec<PartTrace<'a>>> {
    let case = &measured.case;
    let weights = part_weights(case, &scratch.parts, &scratch.rules)?;
    let points = allocate_wide(i128::from(measured.points), &weights)?;
    let explain = |(index, id): (usize, &'a str)| {
        let (part, line) = (scratch.parts[index], case.order.lines.get(index));
        let multipliers = case
            .program
            .multipliers
            .items
            .iter()
            .zip(&scratch.multipliers);
        let reaching = multipliers.filter(|(multiplier, why_not)| {
            why_not.is_none() && multiplier.filter.takes(case.order, index)
        });
        let rules = case.program.rules.iter().zip(&scratch.rules);
        let fired = rules.filter(|(rule, outcome)| {
            outcome.why_not.is_none() && part.base > 0 && rule.filter.takes(case.order, index)
        });
        PartTrace {
            id,
            quantity: line.map_or(0, |line| line.quantity),
            base_minor: part.base,
            multipliers: reaching
                .map(|(multiplier, _)| multiplier.id.as_ref())
                .collect(),
            factor: factor_text(case.program, part.factor),
            rules: fired.map(|(rule, _)| rule.id.as_ref()).collect(),
            exact: Fraction::new(weights[index], case.denominator).to_string(),
            points: points[index] as i64,
        }
    };
    Ok(part_ids(case.program, case.order)
        .enumerate()
        .map(explain)
        .collect())
}

/// Every amount that touched the base, part by part, so that the effects on a part add up to its base.
fn amounts<'a>(program: &Program, order: &'a Order) -> Result<Vec<Amount<'a>>> {
    let mut amounts = Vec::new();
    let mut push = |part, reason, amount_minor, effect_minor| {
        if amount_minor != 0 {
            amounts.push(Amount {
                part,
                reason,
                amount_minor,
                effect_minor,
            });
        }
    };
    for line in &order.lines {
        let (id, price, tax) = (
            Some(order.texts.get(line.id)),
            line.price,
            tax_effect(program, order, line.tax),
        );
        push(id, "PRICE", price, price);
        push(
            id,
            "DISCOUNT",
            line.discount,
            -counted_discount(program, line),
        );
        push(id, "TAX", line.tax, tax);
        let base = line_base(program, order, line)?;
        let kept_out = match exclusion(program, order, line) {
            None => base.min(0),
            Some(_) => base,
        };
        push(
            id,
            kept_out_as(exclusion(program, order, line)),
            kept_out,
            -kept_out,
        );
    }
    let base = |counts: bool, amount: i64| if counts { amount } else { 0 };
    let counts = program.base.shipping;
    let shipping = base(counts, order.shipping);
    let tax = base(counts, tax_effect(program, order, order.shipping_tax));
    let below_zero = base(counts, shipping + tax).min(0);
    push(Some(SHIPPING), "SHIPPING", order.shipping, shipping);
    push(Some(SHIPPING), "TAX", order.shipping_tax, tax);
    push(Some(SHIPPING), "BELOW_ZERO", below_zero, -below_zero);
    push(
        Some(TIP),
        "TIP",
        order.tip,
        base(program.base.tips, order.tip),
    );
    push(None, "DUTIES", order.duties, 0);
    push(None, "REFUNDED", order.refunded, 0);
    push(None, "TENDER_GIFT_CARD", order.paid_by_gift_card, 0);
    push(None, "TENDER_STORE_CREDIT", order.paid_by_store_credit, 0);
    Ok(amounts)
}

fn kept_out_as(exclusion: Option<Exclusion>) -> &'static str {
    match exclusion {
        None => "BELOW_ZERO",
        Some(Exclusion::GiftCard) => "GIFT_CARD_LINE",
        Some(Exclusion::Chosen(ChosenBy::Product)) => "EXCLUDED_PRODUCT",
        Some(Exclusion::Chosen(ChosenBy::Collection)) => "EXCLUDED_COLLECTION",
        Some(Exclusion::Chosen(ChosenBy::Tag)) => "EXCLUDED_TAG",
    }
}

fn rate_text(rate: Rate) -> String {
    format!("{}/{}", rate.num(), rate.den())
}

fn factor_text(program: &Program, factor: i64) -> String {
    Fraction::new(i128::from(factor), i128::from(program.factor_multiple)).to_string()
}
