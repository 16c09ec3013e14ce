//! The discount of a trace, computed again from the numbers it records.

use super::amount::{part_of_line, points_needed, points_worth};
use super::config::Class;
use crate::json::{self, Node, list_of};
use crate::{Error, ErrorCode, Rate, Result, Rounding};

const LINES: usize = 10_000;

/// Computes a trace's discount anew from the numbers recorded in it, in minor units of its currency.
///
/// Errors: `TRACE_INCONSISTENT` when an amount does not follow from its numbers, when lines do not add up to their
/// offer or offers not to the discount; the errors of reading when it is no trace.
pub fn trace_amount(trace: &str) -> Result<i64> {
    let node = json::parse(trace.as_bytes())?;
    let object = node.object()?;
    let mut total: i64 = 0;
    object.required("offers", |node| {
        for (index, offer) in node.list()?.iter().enumerate() {
            let amount = applied_amount(offer).map_err(|error| error.inside_element(index))?;
            total = total.checked_add(amount).ok_or_else(Error::overflow)?;
        }
        Ok(())
    })?;
    match object.required("discount_minor", Node::integer)? {
        recorded if recorded == total => Ok(total),
        _ => Err(inconsistent("is not the sum of the offers").inside("discount_minor")),
    }
}

fn applied_amount(node: &Node<'_>) -> Result<i64> {
    let object = node.object()?;
    if !object.required("applied", Node::boolean)? {
        return Ok(0);
    }
    let amount = object.required("amount_minor", Node::integer)?;
    let base = object.required("base_minor", Node::integer)?;
    let again = object.required("how", |how| amount_again(how, base))?;
    if again != amount {
        return Err(
            inconsistent("does not follow from the numbers beside it").inside("amount_minor")
        );
    }
    let class = object.required("class", Node::text)?;
    let parts = object.required("lines", |node| {
        list_of(node, LINES, |line| {
            line.object()?.required("amount_minor", Node::integer)
        })
    })?;
    let sum = parts
        .iter()
        .try_fold(0_i64, |sum, part| sum.checked_add(*part));
    if class != Class::Shipping.as_str() && sum != Some(amount) {
        return Err(inconsistent("do not add up to the amount").inside("lines"));
    }
    Ok(amount)
}

fn amount_again(how: &Node<'_>, base: i64) -> Result<i64> {
    let object = how.object()?;
    let integer = |name| object.required(name, Node::integer);
    let rate = || Rate::new(integer("num")?, integer("den")?);
    match object.required("kind", Node::text)? {
        "percent" => {
            let amount = rate()?.apply(base, Rounding::HalfUp)?;
            let at_most = object.optional("at_most_minor", Node::integer)?;
            Ok(at_most.map_or(amount, |most| amount.min(most)))
        }
        "amount" => Ok(integer("offered_minor")?.min(base)),
        "points" => {
            let value = rate()?;
            let amount = points_worth(integer("points")?, value, integer("limit_minor")?);
            match points_needed(amount, value)? == integer("used")? {
                true => Ok(amount),
                false => Err(inconsistent("is not what the amount takes").inside("used")),
            }
        }
        "units" => object.required("units", |node| {
            let parts = list_of(node, LINES, |unit| {
                let unit = unit.object()?;
                let integer = |name| unit.required(name, Node::integer);
                part_of_line(
                    integer("subtotal_minor")?,
                    integer("taken")?,
                    integer("quantity")?,
                )
            })?;
            parts
                .iter()
                .try_fold(0_i64, |sum, part| sum.checked_add(*part))
                .ok_or_else(Error::overflow)
        }),
        "delivery" => Ok(base),
        _ => Err(inconsistent("is none of ours").inside("kind")),
    }
}

fn inconsistent(message: &str) -> Error {
    Error::new(ErrorCode::TraceInconsistent, message)
}
