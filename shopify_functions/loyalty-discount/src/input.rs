//! Reads Shopify's input.
//!
//! The values are read by hand and not through generated types, for two reasons: a generated accessor traps on a
//! value of another type than it expects, and interned names read a line of the cart a fifth cheaper, where lines
//! are most of what a run costs.

use loyalty_core::discount::{Cart, Class, Clock, Line};
use loyalty_core::{Currency, Error, ErrorCode, Money, Rate, Result};
use shopify_function::wasm_api::{Deserialize, InternedStringId, Value, read};

/// The input as Shopify hands it over, still unread.
pub struct Input(Value);

impl Deserialize for Input {
    fn deserialize(value: &Value) -> std::result::Result<Self, read::Error> {
        Ok(Input(*value))
    }
}

/// What the offers ask about every line. What they do not ask is not read.
#[derive(Clone, Copy)]
pub struct Asks {
    pub products: bool,
    pub quantities: bool,
    pub tags: bool,
    pub collections: bool,
}

/// Everything but the lines, as text.
pub struct Facts {
    pub config: Option<String>,
    pub loyalty: Option<String>,
    pub classes: Vec<Class>,
    currency: String,
    rate: String,
    country: String,
    date: String,
    reached: [bool; 2],
    code: Option<String>,
    entered_codes: Vec<String>,
    reservation: Option<String>,
    deliveries: usize,
}

/// The lines, still unread.
pub struct Lines {
    values: Vec<Value>,
    names: Names,
}

/// What was read of the lines; the products stand apart because the lines borrow them.
pub struct ReadLines {
    lines: Vec<Line<'static>>,
    products: Vec<String>,
}

impl Input {
    pub fn facts(&self) -> Facts {
        let local_time = at(self.0, &["shop", "localTime"]);
        let cart = at(self.0, &["cart"]);
        let reached = |name| at(local_time, &[name]).as_bool().unwrap_or(false);
        let discount = at(self.0, &["discount"]);
        let codes = elements(at(self.0, &["enteredDiscountCodes"]));
        let classes = elements(at(discount, &["discountClasses"]));
        Facts {
            config: text(discount, &["config", "value"]),
            loyalty: text(cart, &["buyerIdentity", "customer", "loyalty", "value"]),
            classes: classes
                .filter_map(|class| class_named(&class.as_string()?))
                .collect(),
            currency: text(cart, &["cost", "subtotalAmount", "currencyCode"]).unwrap_or_default(),
            rate: text(self.0, &["presentmentCurrencyRate"]).unwrap_or_default(),
            country: text(self.0, &["localization", "country", "isoCode"]).unwrap_or_default(),
            date: text(local_time, &["date"]).unwrap_or_default(),
            reached: [reached("firstReached"), reached("secondReached")],
            code: text(self.0, &["triggeringDiscountCode"]),
            entered_codes: codes.filter_map(|code| text(code, &["code"])).collect(),
            reservation: text(cart, &["reservation", "value"]),
            deliveries: at(cart, &["deliveryGroups"]).array_len().unwrap_or(0),
        }
    }

    pub fn lines(&self) -> Lines {
        Lines {
            values: elements(at(self.0, &["cart", "lines"])).collect(),
            names: Names::intern(&self.0),
        }
    }

    /// The ids of the delivery groups.
    pub fn deliveries(&self) -> Vec<String> {
        let groups = elements(at(self.0, &["cart", "deliveryGroups"]));
        groups.filter_map(|group| text(group, &["id"])).collect()
    }
}

impl Facts {
    /// Errors: `CURRENCY_UNKNOWN`.
    pub fn currency(&self) -> Result<Currency> {
        Currency::parse(&self.currency)
    }

    /// The cart of these facts and lines. Errors: `CURRENCY_UNKNOWN`, and those of reading the rate.
    pub fn cart<'a>(&'a self, read: &'a ReadLines) -> Result<Cart<'a>> {
        let products = read.products.iter().map(String::as_str);
        let lines = read.lines.iter().zip(products.chain(std::iter::repeat("")));
        Ok(Cart {
            currency: self.currency()?,
            rate: Rate::parse(&self.rate).map_err(|error| error.inside("rate"))?,
            country: &self.country,
            clock: Clock {
                date: &self.date,
                reached: self.reached,
            },
            code: self.code.as_deref(),
            entered_codes: self.entered_codes.iter().map(String::as_str).collect(),
            reservation: self.reservation.as_deref(),
            lines: lines
                .map(|(line, product)| Line { product, ..*line })
                .collect(),
            deliveries: self.deliveries,
            delivery_minor: 0,
        })
    }
}

impl Lines {
    /// The id of a line; empty when Shopify sent none, which it never does.
    pub fn id(&self, line: usize) -> String {
        let id = self.values[line].get_interned_obj_prop(self.names.id);
        id.as_string().unwrap_or_default()
    }

    /// Errors: `FIELD_TYPE` for a quantity or flag that is none, and those of reading amounts.
    pub fn read(&self, currency: Currency, asks: Asks) -> Result<ReadLines> {
        let mut read = ReadLines {
            lines: Vec::with_capacity(self.values.len()),
            products: Vec::new(),
        };
        for (index, value) in self.values.iter().enumerate() {
            let line = self.read_line(value, currency, asks, &mut read.products);
            read.lines
                .push(line.map_err(|error| error.inside_element(index).inside("lines"))?);
        }
        Ok(read)
    }

    fn read_line(
        &self,
        line: &Value,
        currency: Currency,
        asks: Asks,
        products: &mut Vec<String>,
    ) -> Result<Line<'static>> {
        let names = &self.names;
        // In the order of the query, because the provider reads its input once and from the front.
        // Only free products need to know how many units a line has; the delivery target does not even ask.
        let quantity = match asks.quantities {
            true => i64::deserialize(&line.get_interned_obj_prop(names.quantity))
                .map_err(|_| missing("quantity"))?,
            false => 1,
        };
        let cost = line.get_interned_obj_prop(names.cost);
        let subtotal = cost.get_interned_obj_prop(names.subtotal_amount);
        let amount = subtotal.get_interned_obj_prop(names.amount).as_string();
        let amount = amount.ok_or_else(|| missing("cost.subtotalAmount.amount"))?;
        let merchandise = line.get_interned_obj_prop(names.merchandise);
        let product = merchandise.get_interned_obj_prop(names.product);
        if asks.products {
            let id = product.get_interned_obj_prop(names.id).as_string();
            products.push(id.unwrap_or_default());
        }
        // A custom product has no product behind it and carries the gift card flag itself.
        let flags = if product.is_obj() {
            product
        } else {
            merchandise
        };
        let flag = |name| flags.get_interned_obj_prop(name).as_bool();
        Ok(Line {
            product: "",
            quantity,
            subtotal_minor: Money::parse(&amount, currency)?.minor,
            gift_card: flag(names.is_gift_card).ok_or_else(|| missing("isGiftCard"))?,
            tagged: asks.tags && flag(names.tagged) == Some(true),
            collected: asks.collections && flag(names.collected) == Some(true),
        })
    }
}

/// Names that are asked of every line. The provider copies a name once when it is interned, and else at every use.
struct Names {
    id: InternedStringId,
    quantity: InternedStringId,
    cost: InternedStringId,
    subtotal_amount: InternedStringId,
    amount: InternedStringId,
    merchandise: InternedStringId,
    product: InternedStringId,
    is_gift_card: InternedStringId,
    tagged: InternedStringId,
    collected: InternedStringId,
}

impl Names {
    fn intern(value: &Value) -> Names {
        Names {
            id: value.intern_utf8_str("id"),
            quantity: value.intern_utf8_str("quantity"),
            cost: value.intern_utf8_str("cost"),
            subtotal_amount: value.intern_utf8_str("subtotalAmount"),
            amount: value.intern_utf8_str("amount"),
            merchandise: value.intern_utf8_str("merchandise"),
            product: value.intern_utf8_str("product"),
            is_gift_card: value.intern_utf8_str("isGiftCard"),
            tagged: value.intern_utf8_str("tagged"),
            collected: value.intern_utf8_str("collected"),
        }
    }
}

fn missing(field: &str) -> Error {
    Error::new(ErrorCode::FieldType, "is not what Shopify's schema says").inside(field)
}

fn class_named(name: &str) -> Option<Class> {
    match name {
        "ORDER" => Some(Class::Order),
        "PRODUCT" => Some(Class::Product),
        "SHIPPING" => Some(Class::Shipping),
        _ => None,
    }
}

/// The value at the end of a path; what is asked of something that is no object is nothing.
fn at(value: Value, path: &[&str]) -> Value {
    path.iter()
        .fold(value, |value, name| value.get_obj_prop(name))
}

fn text(value: Value, path: &[&str]) -> Option<String> {
    at(value, path).as_string()
}

fn elements(list: Value) -> impl Iterator<Item = Value> {
    (0..list.array_len().unwrap_or(0)).map(move |index| list.get_at_index(index))
}
