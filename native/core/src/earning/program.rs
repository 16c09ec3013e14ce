//! A version of a program: what earns points, what multiplies them, what caps them.

use super::conditions::{Conditions, Filter, Items};
use crate::{Currency, Rate, Rounding};

/// One published, immutable version of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub(super) version: i64,
    pub(super) enabled: bool,
    /// The currency in which rates, goals and minimums are meant; none means the order's own.
    pub(super) currency: Option<Currency>,
    pub(super) base: Base,
    pub(super) rounding: Rounding,
    pub(super) rules: Vec<Rule>,
    pub(super) multipliers: Multipliers,
    pub(super) caps: Caps,
    pub(super) exclusions: Items,
    /// A common multiple of every `per`: over it, every rate is a whole number.
    pub(super) per_multiple: i64,
    /// A common multiple of every factor's denominator.
    pub(super) factor_multiple: i64,
    /// Whether any multiplier takes some lines only.
    pub(super) multipliers_single_out: bool,
}

/// What counts as spent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Base {
    pub(super) discounts_reduce: bool,
    pub(super) tax: bool,
    pub(super) shipping: bool,
    pub(super) tips: bool,
    pub(super) gift_cards: bool,
    pub(super) paid_by_gift_card: bool,
    pub(super) paid_by_store_credit: bool,
}

/// Goods after discounts, whatever they are paid with.
impl Default for Base {
    fn default() -> Base {
        Base {
            discounts_reduce: true,
            tax: false,
            shipping: false,
            tips: false,
            gift_cards: false,
            paid_by_gift_card: true,
            paid_by_store_credit: true,
        }
    }
}

/// `points` for each `per` whole units of a currency, in proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PointsPer {
    pub(super) points: i64,
    pub(super) per: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) id: Box<str>,
    pub(super) kind: Kind,
    pub(super) multiplied: bool,
    pub(super) filter: Filter,
    pub(super) conditions: Conditions,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    PerCurrencyUnit {
        rate: PointsPer,
        /// Rates for orders in other currencies, which then need no exchange rate.
        rates: Vec<(Currency, PointsPer)>,
    },
    PerItem {
        points: i64,
    },
    PerOrder {
        points: i64,
    },
    GoalSpend {
        points: i64,
        goal: Rate,
        repeat: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Multipliers {
    pub(super) stacking: Stacking,
    /// What the stacked factor may reach at most.
    pub(super) cap: Option<Rate>,
    pub(super) items: Vec<Multiplier>,
}

/// The most points of one order, and of one customer's orders in one day.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Caps {
    pub(super) per_order: Option<i64>,
    pub(super) per_day: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Multiplier {
    pub(super) id: Box<str>,
    pub(super) source: &'static str,
    pub(super) factor: Rate,
    pub(super) filter: Filter,
    pub(super) conditions: Conditions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stacking {
    /// The largest factor alone.
    #[default]
    BestOf,
    /// One plus what each factor adds to one: ×2 and ×1.5 together give ×2.5.
    Additive,
}

impl Program {
    /// The version that was given when the program was read; every trace carries it.
    pub fn version(&self) -> i64 {
        self.version
    }
}

impl Kind {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Kind::PerCurrencyUnit { .. } => "per_currency_unit",
            Kind::PerItem { .. } => "per_item",
            Kind::PerOrder { .. } => "per_order",
            Kind::GoalSpend { .. } => "goal_spend",
        }
    }
}

impl Stacking {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stacking::BestOf => "best_of",
            Stacking::Additive => "additive",
        }
    }
}
