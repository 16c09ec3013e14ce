//! The normalised order: what the core needs to know of an order or a cart, whoever sent it.

use crate::json::{self, Node, Object};
use crate::{Currency, Error, ErrorCode, Money, Rate, Result};

/// Ids of the parts that are no lines; a line of the order may not take them.
pub(super) const SHIPPING: &str = "shipping";
pub(super) const TIP: &str = "tip";

const LINES_MAX: usize = 10_000;
const NAMES_MAX: usize = 1_000;
const TEXT_MAX: usize = 255;
const QUANTITY_MAX: i64 = 1_000_000_000;

/// An order as it stands after refunds: every amount is what was kept. Amounts are minor units of `currency`.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub(super) currency: Currency,
    /// When the order was placed, in seconds since 1970.
    pub(super) at: i64,
    pub(super) test: bool,
    pub(super) customer: Option<Customer>,
    pub(super) country: Option<Box<str>>,
    /// The rate stored with the order: one unit of `currency` in units of the named currency.
    pub(super) exchange: Option<(Currency, Rate)>,
    pub(super) taxes_included: bool,
    pub(super) lines: Vec<Line>,
    pub(super) shipping: i64,
    pub(super) shipping_tax: i64,
    pub(super) tip: i64,
    pub(super) duties: i64,
    /// Money given back that no line accounts for.
    pub(super) refunded: i64,
    pub(super) paid_by_gift_card: i64,
    pub(super) paid_by_store_credit: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    pub(super) tier: Option<Box<str>>,
    pub(super) segments: Vec<Box<str>>,
    pub(super) orders_before: i64,
    pub(super) signed_up_at: Option<i64>,
    pub(super) points_today: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub(super) id: Box<str>,
    pub(super) product_id: Box<str>,
    pub(super) collections: Vec<Box<str>>,
    pub(super) tags: Vec<Box<str>>,
    pub(super) quantity: i64,
    pub(super) unit_price: i64,
    pub(super) discount: i64,
    pub(super) tax: i64,
    pub(super) gift_card: bool,
}

impl Order {
    /// Reads a normalised order (`native/order.schema.json`).
    ///
    /// Errors: `JSON_INVALID`, `FIELD_*`, `VALUE_*`, `ID_*`, `CURRENCY_UNKNOWN`, `AMOUNT_*`, `OVERFLOW`,
    /// each with the path of the field.
    pub fn parse(text: &[u8]) -> Result<Order> {
        let node = json::parse(text)?;
        let order = node.object()?;
        order.only(&[
            "currency",
            "at",
            "test",
            "customer",
            "country",
            "exchange",
            "taxes_included",
            "lines",
            "shipping",
            "shipping_tax",
            "tip",
            "duties",
            "refunded",
            "tenders",
        ])?;
        let currency = order.required("currency", |node| Currency::parse(node.text()?))?;
        let amount = |name| amount(order, name, currency);
        let lines = order.required("lines", |node| {
            json::list_of(node, LINES_MAX, |line| read_line(line, currency))
        })?;
        refuse_repeated_ids(&lines).map_err(|error| error.inside("lines"))?;
        let mut paid = Paid::default();
        order.optional("tenders", |node| {
            json::list_of(node, NAMES_MAX, |tender| paid.add(tender, currency))
        })?;
        Ok(Order {
            currency,
            at: order.optional("at", Node::integer)?.unwrap_or(0),
            test: flag(order, "test")?,
            customer: order.optional("customer", read_customer)?,
            country: order.optional("country", name)?,
            exchange: order.optional("exchange", read_exchange)?,
            taxes_included: flag(order, "taxes_included")?,
            lines,
            shipping: amount("shipping")?,
            shipping_tax: amount("shipping_tax")?,
            tip: amount("tip")?,
            duties: amount("duties")?,
            refunded: amount("refunded")?,
            paid_by_gift_card: paid.gift_card,
            paid_by_store_credit: paid.store_credit,
        })
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }
}

#[derive(Default)]
struct Paid {
    gift_card: i64,
    store_credit: i64,
}

impl Paid {
    fn add(&mut self, node: &Node<'_>, currency: Currency) -> Result<()> {
        let tender = node.object()?;
        tender.only(&["kind", "amount"])?;
        let amount = tender.required("amount", |node| read_amount(node, currency))?;
        tender.required("kind", |node| {
            let sum = match node.text()? {
                "gift_card" => &mut self.gift_card,
                "store_credit" => &mut self.store_credit,
                "other" => return Ok(()),
                _ => {
                    let message = "must be gift_card, store_credit or other";
                    return Err(Error::new(ErrorCode::ValueInvalid, message));
                }
            };
            *sum = sum.checked_add(amount).ok_or_else(Error::overflow)?;
            Ok(())
        })
    }
}

fn read_customer(node: &Node<'_>) -> Result<Customer> {
    let customer = node.object()?;
    customer.only(&[
        "tier",
        "segments",
        "orders_before",
        "signed_up_at",
        "points_today",
    ])?;
    let count = |node: &Node<'_>| json::integer_between(node, 0, i64::MAX);
    Ok(Customer {
        tier: customer.optional("tier", name)?,
        segments: names(customer, "segments")?,
        orders_before: customer.optional("orders_before", count)?.unwrap_or(0),
        signed_up_at: customer.optional("signed_up_at", Node::integer)?,
        points_today: customer.optional("points_today", count)?.unwrap_or(0),
    })
}

fn read_exchange(node: &Node<'_>) -> Result<(Currency, Rate)> {
    let exchange = node.object()?;
    exchange.only(&["currency", "rate"])?;
    let currency = exchange.required("currency", |node| Currency::parse(node.text()?))?;
    let rate = exchange.required("rate", |node| {
        let rate = Rate::parse(node.text()?)?;
        match rate.num() {
            0 => Err(Error::new(ErrorCode::ValueZero, "must not be zero")),
            _ => Ok(rate),
        }
    })?;
    Ok((currency, rate))
}

fn read_line(node: &Node<'_>, currency: Currency) -> Result<Line> {
    let line = node.object()?;
    line.only(&[
        "id",
        "product_id",
        "collections",
        "tags",
        "quantity",
        "unit_price",
        "discount",
        "tax",
        "gift_card",
    ])?;
    let quantity = |node: &Node<'_>| json::integer_between(node, 0, QUANTITY_MAX);
    Ok(Line {
        id: line.required("id", |node| {
            let id = name(node)?;
            match id.as_ref() {
                SHIPPING | TIP => Err(Error::new(
                    ErrorCode::IdReserved,
                    "is the name of a part of the order itself",
                )),
                _ => Ok(id),
            }
        })?,
        product_id: line.optional("product_id", name)?.unwrap_or_default(),
        collections: names(line, "collections")?,
        tags: names(line, "tags")?,
        quantity: line.optional("quantity", quantity)?.unwrap_or(1),
        unit_price: line.required("unit_price", |node| read_amount(node, currency))?,
        discount: amount(line, "discount", currency)?,
        tax: amount(line, "tax", currency)?,
        gift_card: flag(line, "gift_card")?,
    })
}

fn refuse_repeated_ids(lines: &[Line]) -> Result<()> {
    let mut indices: Vec<usize> = (0..lines.len()).collect();
    indices.sort_unstable_by_key(|index| (&lines[*index].id, *index));
    for pair in indices.windows(2) {
        if lines[pair[0]].id == lines[pair[1]].id {
            let error = Error::new(ErrorCode::IdDuplicate, "stands twice in the order");
            return Err(error.inside("id").inside_element(pair[1]));
        }
    }
    Ok(())
}

fn amount(object: &Object<'_>, name: &str, currency: Currency) -> Result<i64> {
    let amount = object.optional(name, |node| read_amount(node, currency))?;
    Ok(amount.unwrap_or(0))
}

fn read_amount(node: &Node<'_>, currency: Currency) -> Result<i64> {
    let money = Money::parse(node.text()?, currency)?;
    if money.minor < 0 {
        return Err(Error::new(ErrorCode::ValueNegative, "must not be negative"));
    }
    Ok(money.minor)
}

fn flag(object: &Object<'_>, name: &str) -> Result<bool> {
    Ok(object.optional(name, Node::boolean)?.unwrap_or(false))
}

fn name(node: &Node<'_>) -> Result<Box<str>> {
    Ok(json::short_text(node, TEXT_MAX)?.into())
}

fn names(object: &Object<'_>, field: &str) -> Result<Vec<Box<str>>> {
    let names = object.optional(field, |node| json::list_of(node, NAMES_MAX, name))?;
    Ok(names.unwrap_or_default())
}
