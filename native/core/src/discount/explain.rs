//! Discounts as JSON in and JSON out, with the numbers every amount follows from.

use super::amount::{How, part_of_line};
use super::cart::{Cart, Clock, Line};
use super::config::{Class, Config};
use super::customer::{Customer, Loyalty};
use super::evaluate::{Applied, Outcome, Verdict, evaluate};
use super::moment::Moment;
use crate::json::{self, Node, Object, integer_between, list_of, short_text};
use crate::{Currency, Error, ErrorCode, Money, Rate, Result, allocate};
use serde_json::{Map, Value, json};

const LINES: usize = 10_000;
const TEXT_BYTES: usize = 255;

/// Evaluates `{"config", "customer", "cart", "classes"}` and returns the trace as JSON with sorted keys.
///
/// `config` and `customer` are the two metafields, as objects or as their text; `customer` may be null, and one that
/// cannot be read is reported by the offers that ask for it, as in checkout. `classes` are those the discount was
/// created for, all three when left out. The cart is described in `shopify_functions/schemas/cart.schema.json`.
///
/// Errors: those of [`Config::parse`] below `config`, those of [`evaluate`] and of reading below `cart`.
pub fn evaluate_json(text: &str) -> Result<String> {
    let node = json::parse(text.as_bytes())?;
    let object = node.object()?;
    object.only(&["config", "customer", "cart", "classes"])?;
    let config = object.required("config", |node| match node {
        Node::Text(text) => Config::parse(text),
        _ => Config::read(node),
    })?;
    let customer = match object.optional("customer", |node| Ok(read_customer(node)))? {
        Some(customer) => customer,
        None => Customer::Guest,
    };
    let allowed = object.optional("classes", |node| list_of(node, 3, read_class))?;
    let allowed = allowed.unwrap_or(vec![Class::Order, Class::Product, Class::Shipping]);
    object.required("cart", |node| {
        let (cart, ids) = read_cart(node, &config)?;
        let outcome = evaluate(&config, &customer, &cart, &allowed)?;
        Ok(trace(&config, &cart, &ids, &outcome)?.to_string())
    })
}

/// What the input queries must be told for this config: the value of the metafield `$app:function-variables`.
///
/// Errors: those of [`Config::parse`].
pub fn query_variables(config: &str) -> Result<String> {
    let config = Config::parse(config)?;
    // A moment nobody asks about lies beyond every discount.
    let moment = |index: usize| {
        config
            .moments
            .get(index)
            .map_or("9999-12-31T23:59:59", Moment::as_str)
    };
    let variables = json!({
        "tags": config.tags,
        "collections": config.collections,
        "firstMoment": moment(0),
        "secondMoment": moment(1),
    });
    Ok(variables.to_string())
}

fn read_customer(node: &Node<'_>) -> Customer {
    let loyalty = match node {
        Node::Text(text) => Loyalty::parse(text),
        _ => Loyalty::read(node),
    };
    match loyalty {
        Ok(loyalty) => Customer::Member(loyalty),
        Err(error) => Customer::Unreadable(error),
    }
}

fn read_class(node: &Node<'_>) -> Result<Class> {
    let text = node.text()?;
    let classes = [Class::Order, Class::Product, Class::Shipping];
    let known = classes.into_iter().find(|class| class.as_str() == text);
    known.ok_or_else(|| {
        Error::new(
            ErrorCode::ValueInvalid,
            "must be order, product or shipping",
        )
    })
}

/// The cart and the ids of its lines.
fn read_cart<'s>(node: &'s Node<'_>, config: &Config) -> Result<(Cart<'s>, Vec<&'s str>)> {
    let object = node.object()?;
    object.only(&[
        "currency",
        "rate",
        "country",
        "local_time",
        "code",
        "entered_codes",
        "reservation",
        "lines",
        "deliveries",
        "delivery",
    ])?;
    let currency = object.required("currency", |node| Currency::parse(node.text()?))?;
    let text = |name| object.optional(name, |node| short_text(node, TEXT_BYTES));
    let entered_codes = object.optional("entered_codes", |node| {
        list_of(node, 100, |node| short_text(node, TEXT_BYTES))
    })?;
    let delivery = object.optional("delivery", |node| {
        let money = Money::parse(node.text()?, currency)?;
        let refused = || Error::new(ErrorCode::ValueNegative, "must not be negative");
        if money.minor < 0 {
            Err(refused())
        } else {
            Ok(money)
        }
    })?;
    let lines = object.required("lines", |node| {
        list_of(node, LINES, |node| read_line(node, currency, config))
    })?;
    let (ids, lines) = lines.into_iter().unzip();
    let cart = Cart {
        currency,
        rate: object
            .optional("rate", |node| Rate::parse(node.text()?))?
            .unwrap_or(Rate::ONE),
        country: text("country")?.unwrap_or(""),
        clock: object.required("local_time", |node| read_clock(node, config))?,
        code: text("code")?,
        entered_codes: entered_codes.unwrap_or_default(),
        reservation: text("reservation")?,
        lines,
        deliveries: read_count(object, "deliveries")?,
        delivery_minor: delivery.map_or(0, |money| money.minor),
    };
    Ok((cart, ids))
}

fn read_count(object: &Object<'_>, name: &str) -> Result<usize> {
    let count = object.optional(name, |node| integer_between(node, 0, 1_000))?;
    // The bounds were checked just above.
    Ok(count.unwrap_or(0) as usize)
}

fn read_line<'s>(
    node: &'s Node<'_>,
    currency: Currency,
    config: &Config,
) -> Result<(&'s str, Line<'s>)> {
    let object = node.object()?;
    object.only(&[
        "id",
        "product",
        "collections",
        "tags",
        "quantity",
        "subtotal",
        "gift_card",
    ])?;
    let any = |name, asked: &[String]| {
        let names = object.optional(name, |node| list_of(node, 250, Node::text))?;
        Ok(names
            .unwrap_or_default()
            .iter()
            .any(|name| asked.iter().any(|asked| asked == name)))
    };
    let product = object.optional("product", |node| short_text(node, TEXT_BYTES))?;
    let line = Line {
        product: product.unwrap_or(""),
        quantity: object.required("quantity", Node::integer)?,
        subtotal_minor: object
            .required("subtotal", |node| Money::parse(node.text()?, currency))?
            .minor,
        gift_card: object
            .optional("gift_card", Node::boolean)?
            .unwrap_or(false),
        tagged: any("tags", &config.tags)?,
        collected: any("collections", &config.collections)?,
    };
    Ok((
        object.required("id", |node| short_text(node, TEXT_BYTES))?,
        line,
    ))
}

fn read_clock<'s>(node: &'s Node<'_>, config: &Config) -> Result<Clock<'s>> {
    let text = node.text()?;
    let now = Moment::parse(text)?;
    let mut reached = [false; 2];
    for (answer, moment) in reached.iter_mut().zip(&config.moments) {
        *answer = now >= *moment;
    }
    Ok(Clock {
        date: &text[..10],
        reached,
    })
}

fn trace(config: &Config, cart: &Cart<'_>, ids: &[&str], outcome: &Outcome) -> Result<Value> {
    let shares = shares_of_lines(config, cart, outcome)?;
    let mut discount_minor: i64 = 0;
    let mut offers = Vec::new();
    for ((offer, verdict), shares) in config.offers.iter().zip(&outcome.verdicts).zip(shares) {
        let mut entry = Map::new();
        entry.insert("id".into(), json!(offer.id));
        entry.insert("class".into(), json!(offer.class().as_str()));
        match verdict {
            Verdict::Refused(reason) => {
                entry.insert("applied".into(), json!(false));
                entry.insert("reason".into(), json!(reason.as_str()));
            }
            Verdict::Applied(applied) => {
                discount_minor = discount_minor
                    .checked_add(applied.amount_minor)
                    .ok_or_else(Error::overflow)?;
                let lines: Vec<Value> = shares
                    .iter()
                    .map(|(line, minor)| json!({"id": ids[*line], "amount_minor": minor}))
                    .collect();
                entry.insert("applied".into(), json!(true));
                entry.insert("base_minor".into(), json!(applied.base_minor));
                entry.insert("amount_minor".into(), json!(applied.amount_minor));
                entry.insert("code".into(), json!(applied.code));
                entry.insert("how".into(), how_json(&applied.how, cart));
                entry.insert("lines".into(), json!(lines));
            }
        }
        offers.push(Value::Object(entry));
    }
    Ok(json!({
        "currency": cart.currency.code(),
        "goods_minor": outcome.goods_minor,
        "discount_minor": discount_minor,
        "offers": offers,
    }))
}

fn how_json(how: &How, cart: &Cart<'_>) -> Value {
    match how {
        How::Percent {
            share,
            at_most_minor,
        } => {
            json!({"kind": "percent", "num": share.num(), "den": share.den(), "at_most_minor": at_most_minor})
        }
        How::Amount { offered_minor } => json!({"kind": "amount", "offered_minor": offered_minor}),
        How::Units(units) => {
            let units: Vec<Value> = units
                .iter()
                .map(|(line, taken)| {
                    let line = &cart.lines[*line];
                    json!({"subtotal_minor": line.subtotal_minor, "quantity": line.quantity, "taken": taken})
                })
                .collect();
            json!({"kind": "units", "units": units})
        }
        How::Points {
            points,
            value,
            limit_minor,
            used,
        } => json!({
            "kind": "points", "points": points, "num": value.num(), "den": value.den(),
            "limit_minor": limit_minor, "used": used,
        }),
        How::Delivery => json!({"kind": "delivery"}),
    }
}

/// How much of every applied offer falls on which line: for each offer (line, minor units), adding up to its amount.
///
/// Amounts are split by largest remainder over what the lines cost; an order discount over what product discounts
/// have left of them. A part is never more than its line.
fn shares_of_lines(
    config: &Config,
    cart: &Cart<'_>,
    outcome: &Outcome,
) -> Result<Vec<Vec<(usize, i64)>>> {
    let mut left: Vec<i64> = cart
        .lines
        .iter()
        .map(|line| {
            if line.gift_card {
                0
            } else {
                line.subtotal_minor
            }
        })
        .collect();
    let mut shares = vec![Vec::new(); outcome.verdicts.len()];
    for class in [Class::Product, Class::Order] {
        for (index, verdict) in outcome.verdicts.iter().enumerate() {
            if let Verdict::Applied(applied) = verdict
                && config.offers[index].class() == class
            {
                shares[index] = shares_of_offer(applied, cart, &left)?;
                for (line, minor) in &shares[index] {
                    left[*line] -= minor;
                }
            }
        }
    }
    Ok(shares)
}

fn shares_of_offer(applied: &Applied, cart: &Cart<'_>, left: &[i64]) -> Result<Vec<(usize, i64)>> {
    if let How::Units(units) = &applied.how {
        return units
            .iter()
            .map(|(index, taken)| {
                let line = &cart.lines[*index];
                Ok((
                    *index,
                    part_of_line(line.subtotal_minor, *taken, line.quantity)?,
                ))
            })
            .collect();
    }
    let lines = match applied.lines.is_empty() {
        true => (0..left.len()).collect(),
        false => applied.lines.clone(),
    };
    let weights: Vec<i128> = lines.iter().map(|line| i128::from(left[*line])).collect();
    let parts = allocate(applied.amount_minor, &weights)?;
    Ok(lines
        .into_iter()
        .zip(parts)
        .filter(|(_, minor)| *minor > 0)
        .collect())
}
