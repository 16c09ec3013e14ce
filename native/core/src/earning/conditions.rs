//! When a rule or multiplier applies to an order, and which of its lines it takes.

use super::names::{Names, Run, must_not_be_empty};
use super::order::{Customer, Line, Order};
use super::reason::Reason;
use crate::json::{self, Node, Object};
use crate::{Error, ErrorCode, Rate, Result};

const HOURS_MAX: i64 = 24 * 3660;

/// Products chosen by id, by collection or by tag; a line belongs when any of the three says so.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Items {
    products: Names,
    collections: Names,
    tags: Names,
}

/// By what a line was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChosenBy {
    Product,
    Collection,
    Tag,
}

impl Items {
    pub(super) fn read(node: &Node<'_>) -> Result<Items> {
        let object = node.object()?;
        object.only(&["products", "collections", "tags"])?;
        let items = Items {
            products: Names::read(object, "products")?,
            collections: Names::read(object, "collections")?,
            tags: Names::read(object, "tags")?,
        };
        Ok(items)
    }

    /// A choice has to name something; a filter that takes nothing is never meant.
    fn read_filled(node: &Node<'_>) -> Result<Items> {
        let items = Items::read(node)?;
        if items.is_empty() {
            return Err(must_not_be_empty());
        }
        Ok(items)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.products.is_empty() && self.collections.is_empty() && self.tags.is_empty()
    }

    pub(super) fn choose(&self, order: &Order, line: &Line) -> Option<ChosenBy> {
        let texts = &order.texts;
        if self.products.contain_any(texts, line.product_id) {
            Some(ChosenBy::Product)
        } else if self.collections.contain_any(texts, line.collections) {
            Some(ChosenBy::Collection)
        } else if self.tags.contain_any(texts, line.tags) {
            Some(ChosenBy::Tag)
        } else {
            None
        }
    }
}

/// The lines that a rule or multiplier takes: all, or `only` some, `except` others.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Filter {
    only: Option<Items>,
    except: Option<Items>,
}

impl Filter {
    pub(super) fn read(object: &Object<'_>) -> Result<Filter> {
        Ok(Filter {
            only: object.optional("only", Items::read_filled)?,
            except: object.optional("except", Items::read_filled)?,
        })
    }

    pub(super) fn takes_all(&self) -> bool {
        self.only.is_none() && self.except.is_none()
    }

    /// Whether a part is taken. Shipping and tip are no lines and belong to no product, so a filter
    /// with `only` leaves them out.
    pub(super) fn takes(&self, order: &Order, part: usize) -> bool {
        let chosen = |items: &Option<Items>, line: &Line| {
            items
                .as_ref()
                .map(|items| items.choose(order, line).is_some())
        };
        match order.lines.get(part) {
            None => self.only.is_none(),
            Some(line) => {
                chosen(&self.only, line) != Some(false) && chosen(&self.except, line) != Some(true)
            }
        }
    }
}

/// What must hold of the order and its customer. All conditions given must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Conditions {
    pub(super) tiers: Names,
    pub(super) segments: Names,
    countries: Names,
    starts_at: Option<i64>,
    ends_at: Option<i64>,
    pub(super) first_purchase_within_hours: Option<i64>,
    /// In whole units of the program's currency, of the base that is taken.
    pub(super) minimum: Option<Rate>,
}

/// The fields that [`Conditions::read`] and [`Filter::read`] take out of an object.
pub(super) const FIELDS: [&str; 9] = [
    "tiers",
    "segments",
    "countries",
    "starts_at",
    "ends_at",
    "first_purchase_within_hours",
    "minimum",
    "only",
    "except",
];

impl Conditions {
    pub(super) fn read(object: &Object<'_>) -> Result<Conditions> {
        let conditions = Conditions {
            tiers: Names::read_filled(object, "tiers")?,
            segments: Names::read_filled(object, "segments")?,
            countries: Names::read_filled(object, "countries")?,
            starts_at: object.optional("starts_at", Node::integer)?,
            ends_at: object.optional("ends_at", Node::integer)?,
            first_purchase_within_hours: object
                .optional("first_purchase_within_hours", |node| {
                    json::integer_between(node, 1, HOURS_MAX)
                })?,
            minimum: object.optional("minimum", read_amount)?,
        };
        match (conditions.starts_at, conditions.ends_at) {
            (Some(starts_at), Some(ends_at)) if starts_at >= ends_at => {
                let error = Error::new(ErrorCode::ValueInvalid, "must be later than starts_at");
                Err(error.inside("ends_at"))
            }
            _ => Ok(conditions),
        }
    }

    /// The first condition that the order does not meet; the minimum is judged by the caller, who knows the base.
    pub(super) fn unmet(&self, order: &Order, customer: &Customer) -> Option<Reason> {
        if self.starts_at.is_some_and(|starts_at| order.at < starts_at) {
            return Some(Reason::NotStarted);
        }
        // Times are half-open, so that one campaign can end at the second in which the next one starts.
        if self.ends_at.is_some_and(|ends_at| order.at >= ends_at) {
            return Some(Reason::Ended);
        }
        let fails =
            |wanted: &Names, run: Run| !wanted.is_empty() && !wanted.contain_any(&order.texts, run);
        if fails(&self.tiers, customer.tier) {
            return Some(Reason::TierDiffers);
        }
        if fails(&self.segments, customer.segments) {
            return Some(Reason::SegmentDiffers);
        }
        if fails(&self.countries, order.country) {
            return Some(Reason::CountryDiffers);
        }
        let hours = self.first_purchase_within_hours?;
        if customer.orders_before > 0 {
            return Some(Reason::NotFirstOrder);
        }
        let Some(signed_up_at) = customer.signed_up_at else {
            return Some(Reason::SignupUnknown);
        };
        // An order from before the sign-up is no purchase of a new member, so it is outside too.
        let age = i128::from(order.at) - i128::from(signed_up_at);
        let within = (0..=i128::from(hours) * 3600).contains(&age);
        (!within).then_some(Reason::TooLongAfterSignup)
    }
}

/// Reads a positive amount of whole currency units as exact decimal text.
pub(super) fn read_amount(node: &Node<'_>) -> Result<Rate> {
    let amount = Rate::parse(node.text()?)?;
    if amount.num() == 0 {
        return Err(Error::new(ErrorCode::ValueZero, "must not be zero"));
    }
    // Four decimals are the most any currency has; more would only make the arithmetic heavier.
    if amount.num() > 1_000_000_000_000_000 || amount.den() > 10_000 {
        return Err(Error::new(
            ErrorCode::ValueTooLarge,
            "must have at most four decimals and 10^15 in all",
        ));
    }
    Ok(amount)
}
