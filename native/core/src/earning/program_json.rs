//! Reading a program's JSON, and refusing what could not be evaluated exactly.

use super::conditions::{self, Conditions, Filter, Items};
use super::program::{
    Base, Caps, Kind, Multiplier, Multipliers, PointsPer, Program, Rule, Stacking,
};
use crate::exact::greatest_common_divisor;
use crate::json::{self, Node, Object};
use crate::{Currency, Error, ErrorCode, Rate, Result, Rounding};

const DEFINITION_BYTES_MAX: usize = 4_000_000;
const RULES_MAX: usize = 64;
const MULTIPLIERS_MAX: usize = 64;
const TEXT_MAX: usize = 100;
const POINTS_MAX: i64 = 1_000_000_000;
const PER_MAX: i64 = 1_000_000_000;
const FACTOR_MAX: i64 = 1_000_000;
const CAP_MAX: i64 = 1_000_000_000_000;
// Small enough that the exact sums of real orders stay far inside 128 bits.
const MULTIPLE_MAX: i128 = 1_000_000_000;

impl Program {
    /// Reads a program (`native/program.schema.json`); `version` is carried into every trace.
    ///
    /// Errors: `JSON_INVALID`, `FIELD_*`, `VALUE_*`, `ID_DUPLICATE`, `CURRENCY_UNKNOWN`, `AMOUNT_INVALID`,
    /// `MULTIPLIER_BELOW_ONE`, `FRACTION_TOO_FINE`, each with the path of the field.
    pub fn parse(definition: &[u8], version: i64) -> Result<Program> {
        if definition.len() > DEFINITION_BYTES_MAX {
            let message = format!("must have at most {DEFINITION_BYTES_MAX} bytes");
            return Err(Error::new(ErrorCode::ValueTooLarge, message));
        }
        let node = json::parse(definition)?;
        let object = node.object()?;
        object.only(&[
            "enabled",
            "currency",
            "base",
            "rounding",
            "rules",
            "multipliers",
            "caps",
            "exclusions",
        ])?;
        let rules = object.required("rules", read_rules)?;
        let multipliers = object
            .optional("multipliers", read_multipliers)?
            .unwrap_or_default();
        let rounding = object.optional("rounding", |node| Rounding::parse(node.text()?))?;
        Ok(Program {
            version,
            enabled: flag(object, "enabled", true)?,
            currency: object.optional("currency", |node| Currency::parse(node.text()?))?,
            base: object.optional("base", read_base)?.unwrap_or_default(),
            rounding: rounding.unwrap_or(Rounding::Floor),
            caps: object.optional("caps", read_caps)?.unwrap_or_default(),
            exclusions: object
                .optional("exclusions", Items::read)?
                .unwrap_or_default(),
            per_multiple: per_multiple(&rules).map_err(|error| error.inside("rules"))?,
            factor_multiple: factor_multiple(&multipliers)
                .map_err(|error| error.inside("multipliers"))?,
            multipliers_single_out: multipliers
                .items
                .iter()
                .any(|item| !item.filter.takes_all()),
            rules,
            multipliers,
        })
    }
}

fn read_base(node: &Node<'_>) -> Result<Base> {
    let base = node.object()?;
    base.only(&[
        "discounts",
        "tax",
        "shipping",
        "tips",
        "gift_cards",
        "tenders",
    ])?;
    let default = Base::default();
    let discounts_reduce = base.optional("discounts", |node| match node.text()? {
        "after" => Ok(true),
        "before" => Ok(false),
        _ => Err(Error::new(
            ErrorCode::ValueInvalid,
            "must be after or before",
        )),
    })?;
    let tenders = base.optional("tenders", |node| {
        let tenders = node.object()?;
        tenders.only(&["gift_card", "store_credit"])?;
        let gift_card = flag(tenders, "gift_card", default.paid_by_gift_card)?;
        let store_credit = flag(tenders, "store_credit", default.paid_by_store_credit)?;
        Ok((gift_card, store_credit))
    })?;
    let (paid_by_gift_card, paid_by_store_credit) =
        tenders.unwrap_or((default.paid_by_gift_card, default.paid_by_store_credit));
    Ok(Base {
        discounts_reduce: discounts_reduce.unwrap_or(default.discounts_reduce),
        tax: flag(base, "tax", default.tax)?,
        shipping: flag(base, "shipping", default.shipping)?,
        tips: flag(base, "tips", default.tips)?,
        gift_cards: flag(base, "gift_cards", default.gift_cards)?,
        paid_by_gift_card,
        paid_by_store_credit,
    })
}

fn read_rules(node: &Node<'_>) -> Result<Vec<Rule>> {
    let rules = json::list_of(node, RULES_MAX, read_rule)?;
    refuse_repeated_ids(rules.iter().map(|rule| &rule.id))?;
    Ok(rules)
}

fn read_rule(node: &Node<'_>) -> Result<Rule> {
    let rule = node.object()?;
    let points = || rule.required("points", |node| json::integer_between(node, 1, POINTS_MAX));
    let (kind, multiplied, own_fields): (Kind, bool, &[&str]) =
        match rule.required("kind", Node::text)? {
            "per_currency_unit" => {
                let rate = rule.required("rate", read_points_per)?;
                let rates = rule.optional("rates", read_rates)?.unwrap_or_default();
                (
                    Kind::PerCurrencyUnit { rate, rates },
                    true,
                    &["rate", "rates"],
                )
            }
            "per_item" => (Kind::PerItem { points: points()? }, true, &["points"]),
            "per_order" => (Kind::PerOrder { points: points()? }, false, &["points"]),
            "goal_spend" => {
                let goal = rule.required("goal", conditions::read_amount)?;
                let repeat = flag(rule, "repeat", false)?;
                (
                    Kind::GoalSpend {
                        points: points()?,
                        goal,
                        repeat,
                    },
                    false,
                    &["points", "goal", "repeat"],
                )
            }
            _ => {
                let message = "must be per_currency_unit, per_item, per_order or goal_spend";
                return Err(Error::new(ErrorCode::ValueInvalid, message).inside("kind"));
            }
        };
    rule.only(
        &[
            &["id", "kind", "multiplied"],
            own_fields,
            &conditions::FIELDS,
        ]
        .concat(),
    )?;
    Ok(Rule {
        id: rule.required("id", read_id)?,
        kind,
        multiplied: flag(rule, "multiplied", multiplied)?,
        filter: Filter::read(rule)?,
        conditions: Conditions::read(rule)?,
    })
}

fn read_points_per(node: &Node<'_>) -> Result<PointsPer> {
    let rate = node.object()?;
    rate.only(&["points", "per"])?;
    Ok(PointsPer {
        points: rate.required("points", |node| json::integer_between(node, 1, POINTS_MAX))?,
        per: rate.required("per", |node| json::integer_between(node, 1, PER_MAX))?,
    })
}

fn read_rates(node: &Node<'_>) -> Result<Vec<(Currency, PointsPer)>> {
    let read = |(code, rate)| {
        let read = || Ok((Currency::parse(code)?, read_points_per(rate)?));
        read().map_err(|error: Error| error.inside(code))
    };
    node.object()?.fields().map(read).collect()
}

fn read_multipliers(node: &Node<'_>) -> Result<Multipliers> {
    let multipliers = node.object()?;
    multipliers.only(&["stacking", "cap", "items"])?;
    let stacking = multipliers.optional("stacking", |node| match node.text()? {
        "best_of" => Ok(Stacking::BestOf),
        "additive" => Ok(Stacking::Additive),
        _ => Err(Error::new(
            ErrorCode::ValueInvalid,
            "must be best_of or additive",
        )),
    })?;
    let items = multipliers.optional("items", |node| {
        let items = json::list_of(node, MULTIPLIERS_MAX, read_multiplier)?;
        refuse_repeated_ids(items.iter().map(|item| &item.id))?;
        Ok(items)
    })?;
    Ok(Multipliers {
        stacking: stacking.unwrap_or_default(),
        cap: multipliers.optional("cap", read_factor)?,
        items: items.unwrap_or_default(),
    })
}

fn read_multiplier(node: &Node<'_>) -> Result<Multiplier> {
    let multiplier = node.object()?;
    multiplier.only(&[&["id", "source", "factor"], conditions::FIELDS.as_slice()].concat())?;
    let conditions = Conditions::read(multiplier)?;
    // A tier's multiplier that names no tier would reach everybody: that is never meant.
    let (source, needed, is_there) = match multiplier.required("source", Node::text)? {
        "tier" => ("tier", "tiers", !conditions.tiers.is_empty()),
        "segment" => ("segment", "segments", !conditions.segments.is_empty()),
        "first_purchase" => {
            let hours = conditions.first_purchase_within_hours;
            (
                "first_purchase",
                "first_purchase_within_hours",
                hours.is_some(),
            )
        }
        "campaign" => ("campaign", "", true),
        _ => {
            let message = "must be tier, segment, campaign or first_purchase";
            return Err(Error::new(ErrorCode::ValueInvalid, message).inside("source"));
        }
    };
    if !is_there {
        return Err(Error::new(ErrorCode::FieldMissing, "is missing").inside(needed));
    }
    Ok(Multiplier {
        id: multiplier.required("id", read_id)?,
        source,
        factor: multiplier.required("factor", read_factor)?,
        filter: Filter::read(multiplier)?,
        conditions,
    })
}

fn read_factor(node: &Node<'_>) -> Result<Rate> {
    let factor = node.object()?;
    factor.only(&["num", "den"])?;
    let num = factor.required("num", |node| json::integer_between(node, 1, FACTOR_MAX))?;
    let den = factor.required("den", |node| json::integer_between(node, 1, FACTOR_MAX))?;
    if num < den {
        return Err(Error::new(
            ErrorCode::MultiplierBelowOne,
            "must be at least one",
        ));
    }
    Rate::new(num, den)
}

fn read_caps(node: &Node<'_>) -> Result<Caps> {
    let caps = node.object()?;
    caps.only(&["per_order", "per_day"])?;
    let read = |node: &Node<'_>| json::integer_between(node, 0, CAP_MAX);
    Ok(Caps {
        per_order: caps.optional("per_order", read)?,
        per_day: caps.optional("per_day", read)?,
    })
}

fn read_id(node: &Node<'_>) -> Result<Box<str>> {
    Ok(json::short_text(node, TEXT_MAX)?.into())
}

fn flag(object: &Object<'_>, name: &str, default: bool) -> Result<bool> {
    Ok(object.optional(name, Node::boolean)?.unwrap_or(default))
}

fn refuse_repeated_ids<'i>(ids: impl Iterator<Item = &'i Box<str>>) -> Result<()> {
    let ids: Vec<_> = ids.collect();
    for (index, id) in ids.iter().enumerate() {
        if ids[..index].contains(id) {
            let error = Error::new(ErrorCode::IdDuplicate, "stands twice");
            return Err(error.inside("id").inside_element(index));
        }
    }
    Ok(())
}

fn per_multiple(rules: &[Rule]) -> Result<i64> {
    let mut all = Vec::new();
    for rule in rules {
        if let Kind::PerCurrencyUnit { rate, rates } = &rule.kind {
            all.push(rate.per);
            all.extend(rates.iter().map(|(_, rate)| rate.per));
        }
    }
    common_multiple(all.into_iter())
}

fn factor_multiple(multipliers: &Multipliers) -> Result<i64> {
    let factors = multipliers.items.iter().map(|item| item.factor);
    common_multiple(factors.chain(multipliers.cap).map(Rate::den))
}

fn common_multiple(numbers: impl Iterator<Item = i64>) -> Result<i64> {
    let mut multiple: i128 = 1;
    for number in numbers.map(i128::from) {
        multiple = multiple / greatest_common_divisor(multiple, number) * number;
        if multiple > MULTIPLE_MAX {
            let message = "the denominators have no common multiple up to 10^9; use rounder ones";
            return Err(Error::new(ErrorCode::FractionTooFine, message));
        }
    }
    Ok(multiple as i64)
}
