//! The normalised order: what the core needs to know of an order or a cart, whoever sent it.

use super::names::{Name, Run, TEXT_MAX, Texts};
use crate::json::{self, Node, Object};
use crate::{Currency, Error, ErrorCode, Money, Rate, Result};

/// Ids of the parts that are no lines; a line of the order may not take them.
pub(super) const SHIPPING: &str = "shipping";
pub(super) const TIP: &str = "tip";

const LINES_MAX: usize = 10_000;
const NAMES_MAX: usize = 1_000;
const DOCUMENT_BYTES_MAX: usize = 64_000_000;
const QUANTITY_MAX: i64 = 1_000_000_000;

const FIELDS: [&str; 14] = [
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
];
const LINE_FIELDS: [&str; 9] = [
    "id",
    "product_id",
    "collections",
    "tags",
    "quantity",
    "unit_price",
    "discount",
    "tax",
    "gift_card",
];
const CUSTOMER_FIELDS: [&str; 5] = [
    "tier",
    "segments",
    "orders_before",
    "signed_up_at",
    "points_today",
];

/// An order as it stands after refunds: every amount is what was kept. Amounts are minor units of `currency`.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub(super) currency: Currency,
    /// When the order was placed, in seconds since 1970.
    pub(super) at: i64,
    pub(super) test: bool,
    pub(super) customer: Option<Customer>,
    pub(super) country: Run,
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
    /// All that was to be paid: goods less discounts, shipping, tip, duties, and taxes on top.
    pub(super) payable: i64,
    pub(super) paid_by_gift_card: i64,
    pub(super) paid_by_store_credit: i64,
    pub(super) texts: Texts,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Customer {
    pub(super) tier: Run,
    pub(super) segments: Run,
    pub(super) orders_before: i64,
    pub(super) signed_up_at: Option<i64>,
    pub(super) points_today: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) id: Name,
    pub(super) product_id: Run,
    pub(super) collections: Run,
    pub(super) tags: Run,
    pub(super) quantity: i64,
    /// Of the whole quantity, as discount and tax are.
    pub(super) price: i64,
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
        if text.len() > DOCUMENT_BYTES_MAX {
            let message = format!("must have at most {DOCUMENT_BYTES_MAX} bytes");
            return Err(Error::new(ErrorCode::ValueTooLarge, message));
        }
        let node = json::parse(text)?;
        let order = node.object()?;
        order.only(&FIELDS)?;
        let currency = order.required("currency", |node| Currency::parse(node.text()?))?;
        let mut reader = Reader {
            currency,
            texts: Texts::default(),
        };
        let lines = order.required("lines", |node| {
            let lines = json::list_of(node, LINES_MAX, |line| reader.line(line))?;
            refuse_repeated_ids(&reader.texts, &lines)?;
            Ok(lines)
        })?;
        let paid = order
            .optional("tenders", |node| read_tenders(node, currency))?
            .unwrap_or_default();
        let customer = order.optional("customer", |node| reader.customer(node))?;
        let country = reader.one(order, "country")?;
        let amount = |name| amount(order, name, currency);
        let mut order = Order {
            currency,
            at: order.optional("at", Node::integer)?.unwrap_or(0),
            test: flag(order, "test")?,
            customer,
            country,
            exchange: order.optional("exchange", read_exchange)?,
            taxes_included: flag(order, "taxes_included")?,
            lines,
            shipping: amount("shipping")?,
            shipping_tax: amount("shipping_tax")?,
            tip: amount("tip")?,
            duties: amount("duties")?,
            refunded: amount("refunded")?,
            payable: 0,
            paid_by_gift_card: paid.gift_card,
            paid_by_store_credit: paid.store_credit,
            texts: reader.texts,
        };
        order.payable = order.add_up().ok_or_else(Error::overflow)?;
        Ok(order)
    }

    fn add_up(&self) -> Option<i64> {
        // A tax that is in the price has been paid with it.
        let on_top = |tax: i64| if self.taxes_included { 0 } else { tax };
        let mut payable = self.shipping.checked_add(on_top(self.shipping_tax))?;
        payable = payable.checked_add(self.tip)?.checked_add(self.duties)?;
        for line in &self.lines {
            let paid = (line.price - line.discount).max(0);
            payable = payable.checked_add(paid)?.checked_add(on_top(line.tax))?;
        }
        Some(payable)
    }
}

/// What reading the parts of an order has in common.
struct Reader {
    currency: Currency,
    texts: Texts,
}

impl Reader {
    fn line(&mut self, node: &Node<'_>) -> Result<Line> {
        let line = node.object()?;
        line.only(&LINE_FIELDS)?;
        let quantity = line
            .optional("quantity", |node| {
                json::integer_between(node, 0, QUANTITY_MAX)
            })?
            .unwrap_or(1);
        let unit_price = line.required("unit_price", |node| read_amount(node, self.currency))?;
        Ok(Line {
            id: line.required("id", |node| self.line_id(node))?,
            product_id: self.one(line, "product_id")?,
            collections: self.many(line, "collections")?,
            tags: self.many(line, "tags")?,
            quantity,
            price: unit_price
                .checked_mul(quantity)
                .ok_or_else(Error::overflow)?,
            discount: amount(line, "discount", self.currency)?,
            tax: amount(line, "tax", self.currency)?,
            gift_card: flag(line, "gift_card")?,
        })
    }

    fn line_id(&mut self, node: &Node<'_>) -> Result<Name> {
        if matches!(node.text()?, SHIPPING | TIP) {
            let message = "is the name of a part of the order itself";
            return Err(Error::new(ErrorCode::IdReserved, message));
        }
        Ok(self.texts.add(json::short_text(node, TEXT_MAX)?))
    }

    fn customer(&mut self, node: &Node<'_>) -> Result<Customer> {
        let customer = node.object()?;
        customer.only(&CUSTOMER_FIELDS)?;
        let count = |node: &Node<'_>| json::integer_between(node, 0, i64::MAX);
        Ok(Customer {
            tier: self.one(customer, "tier")?,
            segments: self.many(customer, "segments")?,
            orders_before: customer.optional("orders_before", count)?.unwrap_or(0),
            signed_up_at: customer.optional("signed_up_at", Node::integer)?,
            points_today: customer.optional("points_today", count)?.unwrap_or(0),
        })
    }

    /// A run of at most one name.
    fn one(&mut self, object: &Object<'_>, field: &str) -> Result<Run> {
        let mut run = self.texts.run();
        object.optional(field, |node| {
            self.texts
                .add_to(&mut run, json::short_text(node, TEXT_MAX)?);
            Ok(())
        })?;
        Ok(run)
    }

    fn many(&mut self, object: &Object<'_>, field: &str) -> Result<Run> {
        let mut run = self.texts.run();
        object.optional(field, |node| {
            json::each_of(node, NAMES_MAX, |node| {
                self.texts
                    .add_to(&mut run, json::short_text(node, TEXT_MAX)?);
                Ok(())
            })
        })?;
        Ok(run)
    }
}

#[derive(Default)]
struct Paid {
    gift_card: i64,
    store_credit: i64,
}

fn read_tenders(node: &Node<'_>, currency: Currency) -> Result<Paid> {
    let mut paid = Paid::default();
    json::each_of(node, NAMES_MAX, |node| {
        let tender = node.object()?;
        tender.only(&["kind", "amount"])?;
        let amount = tender.required("amount", |node| read_amount(node, currency))?;
        let sum = tender.required("kind", |node| match node.text()? {
            "gift_card" => Ok(Some(&mut paid.gift_card)),
            "store_credit" => Ok(Some(&mut paid.store_credit)),
            "other" => Ok(None),
            _ => {
                let message = "must be gift_card, store_credit or other";
                Err(Error::new(ErrorCode::ValueInvalid, message))
            }
        })?;
        if let Some(sum) = sum {
            *sum = sum.checked_add(amount).ok_or_else(Error::overflow)?;
        }
        Ok(())
    })?;
    Ok(paid)
}

fn read_exchange(node: &Node<'_>) -> Result<(Currency, Rate)> {
    let exchange = node.object()?;
    exchange.only(&["currency", "rate"])?;
    let currency = exchange.required("currency", |node| Currency::parse(node.text()?))?;
    let rate = exchange.required("rate", |node| {
        let rate = Rate::parse(node.text()?)?;
        match rate == Rate::ZERO {
            true => Err(Error::new(ErrorCode::ValueZero, "must not be zero")),
            false => Ok(rate),
        }
    })?;
    Ok((currency, rate))
}

fn refuse_repeated_ids(texts: &Texts, lines: &[Line]) -> Result<()> {
    let mut ids: Vec<(&str, usize)> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| (texts.get(line.id), index))
        .collect();
    ids.sort_unstable();
    for pair in ids.windows(2) {
        if pair[0].0 == pair[1].0 {
            let error = Error::new(ErrorCode::IdDuplicate, "stands twice in the order");
            return Err(error.inside("id").inside_element(pair[1].1));
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
