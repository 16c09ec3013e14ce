//! What the discount's config metafield says: its offers, their conditions and their values.

use super::customer::{check_version, each_field, metafield_node};
use super::moment::Moment;
use crate::json::{Node, integer_between, list_of, short_text};
use crate::{Currency, Error, ErrorCode, Money, Rate, Result};

const OFFERS: usize = 25;
const NAMES: usize = 50;
/// Shopify takes at most 100 values in a list argument of an input query.
const IDS: usize = 100;
const NAME_BYTES: usize = 64;
const ID_BYTES: usize = 100;
const MESSAGE_BYTES: usize = 255;
/// The input queries have room for this many questions "has this moment been reached?".
pub(crate) const MOMENTS: usize = 2;

/// One discount of the shop, compiled from its metafield `$app:config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The shop's currency; all amounts of the config are in it.
    pub currency: Currency,
    pub offers: Vec<Offer>,
    /// What the input queries have to ask of every cart line, and of the clock.
    pub(crate) tags: Vec<String>,
    pub(crate) collections: Vec<String>,
    pub(crate) moments: Vec<Moment>,
}

/// One thing the discount may grant. All conditions have to hold; an empty list is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub id: String,
    /// What the customer reads in the cart, where Shopify shows a message.
    pub message: Option<String>,
    pub value: Value,
    pub trigger: Trigger,
    pub codes: Vec<String>,
    /// Whether guests are refused; true unless the config says otherwise.
    pub members_only: bool,
    pub tiers: Vec<String>,
    pub segments: Vec<String>,
    /// ISO 3166 codes.
    pub countries: Vec<String>,
    pub(crate) starts_at: Option<Moment>,
    /// The first moment at which the offer holds no more.
    pub(crate) ends_at: Option<Moment>,
    /// In the shop's currency, compared with the lines the offer may discount, before discounts.
    pub minimum_subtotal: Option<Money>,
    /// The lines it is limited to; without it, all that are no gift cards.
    pub only: Option<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    Automatic,
    /// A code, and one of the offer's codes unless that list is empty.
    Code,
    /// A code that the customer's metafield lists.
    OwnedCode,
}

/// Lines of these products, or in one of these collections, or with one of these tags. Ids compare as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limit {
    pub products: Vec<String>,
    pub collections: Vec<String>,
    pub tags: Vec<String>,
}

/// What an offer takes off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An amount in the shop's currency, once for all lines of the offer.
    AmountOff(Money),
    Percentage {
        /// The percentage as written, which Shopify is given, and as a fraction of one.
        percent: String,
        share: Rate,
        at_most: Option<Money>,
    },
    FreeShipping,
    /// So many units of the lines the offer is limited to, the cheapest first.
    FreeProduct {
        quantity: i64,
    },
    /// Reserved points at `worth` per `points`, for at most `share` of the subtotal.
    PayWithPoints {
        points: i64,
        worth: Money,
        share: Rate,
    },
}

/// Shopify's three kinds of discount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Order,
    Product,
    Shipping,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Order => "order",
            Class::Product => "product",
            Class::Shipping => "shipping",
        }
    }
}

impl Offer {
    fn unconditional(id: String, value: Value) -> Offer {
        Offer {
            id,
            message: None,
            value,
            trigger: Trigger::Automatic,
            codes: Vec::new(),
            members_only: true,
            tiers: Vec::new(),
            segments: Vec::new(),
            countries: Vec::new(),
            starts_at: None,
            ends_at: None,
            minimum_subtotal: None,
            only: None,
        }
    }

    /// The kind of discount that this offer becomes at checkout.
    pub fn class(&self) -> Class {
        match self.value {
            Value::FreeShipping => Class::Shipping,
            Value::FreeProduct { .. } => Class::Product,
            Value::PayWithPoints { .. } => Class::Order,
            _ if self.only.is_some() => Class::Product,
            _ => Class::Order,
        }
    }
}

impl Config {
    /// Reads the metafield: `version` must be 1, every known field must be well formed, unknown fields are passed
    /// over so that a newer server can write them.
    ///
    /// Errors: those of [`crate::json::parse`], `FIELD_MISSING`, `FIELD_TYPE`, `VALUE_INVALID`, `VALUE_NEGATIVE`,
    /// `VALUE_ZERO`, `VALUE_TOO_LARGE`, `ID_DUPLICATE`, `CURRENCY_UNKNOWN`, `AMOUNT_INVALID`, `AMOUNT_PRECISION`,
    /// `OVERFLOW`; each with the path of the refused field.
    pub fn parse(text: &str) -> Result<Config> {
        Config::read(&metafield_node(text)?)
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Config> {
        let object = node.object()?;
        check_version(object)?;
        let currency = object.required("currency", |node| Currency::parse(node.text()?))?;
        let offers = object.required("offers", |node| {
            list_of(node, OFFERS, |node| read_offer(node, currency))
        })?;
        let mut config = Config {
            currency,
            offers,
            tags: Vec::new(),
            collections: Vec::new(),
            moments: Vec::new(),
        };
        config
            .gather_questions()
            .map_err(|error| error.inside("offers"))?;
        Ok(config)
    }

    /// Whether some offer is limited by product, so that the products of the lines have to be known.
    pub fn asks_products(&self) -> bool {
        self.offers.iter().any(|offer| {
            let limit = offer.only.as_ref();
            limit.is_some_and(|limit| !limit.products.is_empty())
        })
    }

    /// Whether some offer is limited by tag, so that [`super::Line::tagged`] has to be known.
    pub fn asks_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Whether some offer is limited by collection, so that [`super::Line::collected`] has to be known.
    pub fn asks_collections(&self) -> bool {
        !self.collections.is_empty()
    }

    /// Whether some offer counts units, so that the quantities of the lines have to be known.
    pub fn asks_quantities(&self) -> bool {
        self.offers
            .iter()
            .any(|offer| matches!(offer.value, Value::FreeProduct { .. }))
    }

    /// Collects what the input queries must ask, and refuses what they have no room for: Shopify answers one
    /// question about tags and one about collections per line, and the queries hold two moments.
    fn gather_questions(&mut self) -> Result<()> {
        for (index, offer) in self.offers.iter().enumerate() {
            if self.offers[..index]
                .iter()
                .any(|earlier| earlier.id == offer.id)
            {
                let error = Error::new(ErrorCode::IdDuplicate, "stands twice");
                return Err(error.inside("id").inside_element(index));
            }
            if let Some(limit) = &offer.only {
                one_list(&mut self.tags, &limit.tags)
                    .map_err(|error| error.inside("only.tags").inside_element(index))?;
                one_list(&mut self.collections, &limit.collections)
                    .map_err(|error| error.inside("only.collections").inside_element(index))?;
            }
            for moment in [&offer.starts_at, &offer.ends_at].into_iter().flatten() {
                if !moment.is_midnight() && !self.moments.contains(moment) {
                    self.moments.push(moment.clone());
                }
            }
        }
        if self.moments.len() > MOMENTS {
            let message =
                format!("may name at most {MOMENTS} different times that are not midnight");
            return Err(Error::new(ErrorCode::ValueTooLarge, message));
        }
        Ok(())
    }
}

fn one_list(known: &mut Vec<String>, asked: &[String]) -> Result<()> {
    if known.is_empty() {
        known.extend_from_slice(asked);
    }
    if asked.is_empty() || known == asked {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::ValueInvalid,
        "must be the same list in every offer that has one",
    ))
}

fn read_offer(node: &Node<'_>, currency: Currency) -> Result<Offer> {
    let object = node.object()?;
    let id = object.required("id", |node| short_text(node, NAME_BYTES))?;
    let value = object.required("value", |node| read_value(node, currency))?;
    let mut offer = Offer::unconditional(id.to_owned(), value);
    each_field(object, |name, node| {
        read_condition(&mut offer, name, node, currency)
    })?;
    if let (Some(starts_at), Some(ends_at)) = (&offer.starts_at, &offer.ends_at)
        && ends_at <= starts_at
    {
        return Err(invalid("must be later than starts_at").inside("ends_at"));
    }
    if !offer.codes.is_empty() && offer.trigger != Trigger::Code {
        return Err(invalid("needs the trigger code").inside("codes"));
    }
    check_limit(&offer)?;
    Ok(offer)
}

fn read_condition(
    offer: &mut Offer,
    name: &str,
    node: &Node<'_>,
    currency: Currency,
) -> Result<()> {
    match name {
        "message" => offer.message = Some(short_text(node, MESSAGE_BYTES)?.to_owned()),
        "trigger" => offer.trigger = read_trigger(node)?,
        "codes" => offer.codes = texts(node, IDS, ID_BYTES)?,
        "members_only" => offer.members_only = node.boolean()?,
        "tiers" => offer.tiers = texts(node, NAMES, NAME_BYTES)?,
        "segments" => offer.segments = texts(node, NAMES, NAME_BYTES)?,
        "countries" => offer.countries = texts(node, NAMES, NAME_BYTES)?,
        "starts_at" => offer.starts_at = Some(Moment::parse(node.text()?)?),
        "ends_at" => offer.ends_at = Some(Moment::parse(node.text()?)?),
        "minimum_subtotal" => offer.minimum_subtotal = Some(amount(node, currency)?),
        "only" => offer.only = Some(read_limit(node)?),
        _ => {}
    }
    Ok(())
}

/// Free products need to be told which; shipping and points concern the whole cart.
fn check_limit(offer: &Offer) -> Result<()> {
    let message = match (&offer.value, &offer.only) {
        (Value::FreeProduct { .. }, None) => "must say which products are free",
        (Value::FreeShipping | Value::PayWithPoints { .. }, Some(_)) => {
            "cannot limit an offer for the whole cart"
        }
        _ => return Ok(()),
    };
    Err(invalid(message).inside("only"))
}

fn read_trigger(node: &Node<'_>) -> Result<Trigger> {
    match node.text()? {
        "automatic" => Ok(Trigger::Automatic),
        "code" => Ok(Trigger::Code),
        "owned_code" => Ok(Trigger::OwnedCode),
        _ => Err(invalid("must be automatic, code or owned_code")),
    }
}

fn read_limit(node: &Node<'_>) -> Result<Limit> {
    let mut limit = Limit::default();
    each_field(node.object()?, |name, node| {
        match name {
            "products" => limit.products = texts(node, IDS, ID_BYTES)?,
            "collections" => limit.collections = texts(node, IDS, ID_BYTES)?,
            "tags" => limit.tags = texts(node, IDS, ID_BYTES)?,
            _ => {}
        }
        Ok(())
    })?;
    // An empty limit would make the offer one for nothing, which nobody means.
    match limit == Limit::default() {
        true => Err(invalid("must name a product, a collection or a tag")),
        false => Ok(limit),
    }
}

fn read_value(node: &Node<'_>, currency: Currency) -> Result<Value> {
    let object = node.object()?;
    let kind = object.required("kind", Node::text)?;
    match kind {
        "amount_off" => Ok(Value::AmountOff(
            object.required("amount", |node| amount(node, currency))?,
        )),
        "percentage" => {
            let (percent, share) = object.required("percent", percentage)?;
            let at_most = object.optional("at_most", |node| amount(node, currency))?;
            Ok(Value::Percentage {
                percent: percent.to_owned(),
                share,
                at_most,
            })
        }
        "free_shipping" => Ok(Value::FreeShipping),
        "free_product" => Ok(Value::FreeProduct {
            quantity: object
                .optional("quantity", |node| integer_between(node, 1, 1_000))?
                .unwrap_or(1),
        }),
        "pay_with_points" => Ok(Value::PayWithPoints {
            points: object.required("points", |node| integer_between(node, 1, 1_000_000_000))?,
            worth: object.required("worth", |node| amount(node, currency))?,
            share: match object.optional("share", percentage)? {
                Some((_, share)) => share,
                None => Rate::ONE,
            },
        }),
        _ => Err(invalid(
            "must be amount_off, percentage, free_shipping, free_product or pay_with_points",
        )
        .inside("kind")),
    }
}

/// A percentage above 0 and up to 100, as decimal text and as a fraction of one.
fn percentage<'s>(node: &'s Node<'_>) -> Result<(&'s str, Rate)> {
    let text = node.text()?;
    let percent = Rate::parse(text)?;
    if percent.num() == 0 {
        return Err(Error::new(ErrorCode::ValueZero, "must be more than 0"));
    }
    let hundreds = percent.den().checked_mul(100).ok_or_else(Error::overflow)?;
    if percent.num() > hundreds {
        return Err(Error::new(ErrorCode::ValueTooLarge, "must be at most 100"));
    }
    // The text goes to Shopify as it is, and Shopify's decimals know no plus sign.
    if text.starts_with('+') {
        return Err(invalid("must not have a sign"));
    }
    Ok((text, Rate::new(percent.num(), hundreds)?))
}

/// A positive amount in the shop's currency.
fn amount(node: &Node<'_>, currency: Currency) -> Result<Money> {
    let money = Money::parse(node.text()?, currency)?;
    match money.minor {
        0 => Err(Error::new(ErrorCode::ValueZero, "must be more than 0")),
        minor if minor < 0 => Err(Error::new(ErrorCode::ValueNegative, "must not be negative")),
        _ => Ok(money),
    }
}

fn texts(node: &Node<'_>, count: usize, bytes: usize) -> Result<Vec<String>> {
    list_of(node, count, |node| Ok(short_text(node, bytes)?.to_owned()))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::ValueInvalid, message)
}
