//! Which offers apply together: the best for every line, then the best for the order.

use super::amount::{How, Quote, Terms, quote};
use super::cart::{Cart, Line};
use super::conditions::{Reason, check};
use super::config::{Class, Config, Offer};
use super::customer::Customer;
use crate::{Money, Rate, Result};
use std::cmp::Ordering;

/// The verdict on every offer, in the order of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What the lines that are no gift cards cost, in minor units of the cart's currency.
    pub goods_minor: i64,
    pub verdicts: Vec<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Applied(Applied),
    Refused(Reason),
}

/// An offer that applies. All amounts in minor units of the cart's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What the touched lines cost, less what other offers of this discount take off them.
    pub base_minor: i64,
    pub amount_minor: i64,
    /// The lines a product offer touches; empty for orders and shipping, which concern all of them.
    pub lines: Vec<usize>,
    /// The entered code that the discount has to name, when no code started it.
    pub code: Option<String>,
    pub(crate) how: How,
}

/// How an applied offer is put to Shopify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken<'a> {
    /// The percentage the offer names, which Shopify applies after other discounts.
    Percent,
    /// Exactly [`Applied::amount_minor`].
    Amount,
    /// All of these units: (line, units).
    Units(&'a [(usize, i64)]),
    /// All of the delivery.
    Delivery,
}

impl Applied {
    pub fn taken(&self) -> Taken<'_> {
        match &self.how {
            // A cap that bites is an amount; Shopify has no capped percentages.
            How::Percent {
                at_most_minor: Some(most),
                ..
            } if self.amount_minor == *most => Taken::Amount,
            How::Percent { .. } => Taken::Percent,
            How::Amount { .. } | How::Points { .. } => Taken::Amount,
            How::Units(units) => Taken::Units(units),
            How::Delivery => Taken::Delivery,
        }
    }

    /// The points that pay for the amount, for pay-with-points.
    pub fn points_used(&self) -> Option<i64> {
        match self.how {
            How::Points { used, .. } => Some(used),
            _ => None,
        }
    }
}

struct Evaluation<'e, 'c> {
    config: &'e Config,
    terms: Terms<'e, 'c>,
    verdicts: Vec<Option<Verdict>>,
    codes: Vec<Option<&'c str>>,
    taken_lines: Vec<bool>,
}

/// Evaluates every offer of `config` for `customer` and `cart`; `allowed` are the classes the discount was created for.
///
/// Product offers go first: the highest rate of discount takes its lines, then the next takes what is left, so that
/// no line is discounted twice. Of the order offers the one that takes most off the rest applies, of the shipping
/// offers the first. Earlier offers win ties.
///
/// Errors: for a cart that cannot be, `VALUE_NEGATIVE`, `VALUE_ZERO`, `VALUE_INVALID`, `OVERFLOW`, with its path.
pub fn evaluate(
    config: &Config,
    customer: &Customer,
    cart: &Cart<'_>,
    allowed: &[Class],
) -> Result<Outcome> {
    let goods_minor = cart.goods_minor()?;
    let count = config.offers.len();
    let mut evaluation = Evaluation {
        config,
        terms: Terms {
            customer,
            cart,
            conversion: cart
                .conversion(config.currency)
                .map_err(|error| error.inside("rate"))?,
        },
        verdicts: vec![None; count],
        codes: vec![None; count],
        taken_lines: vec![false; cart.lines.len()],
    };
    for (index, offer) in config.offers.iter().enumerate() {
        match allowed
            .contains(&offer.class())
            .then(|| check(offer, config, customer, cart))
        {
            Some(Ok(code)) => evaluation.codes[index] = code,
            Some(Err(reason)) => evaluation.refuse(index, reason),
            None => evaluation.refuse(index, Reason::ClassNotAllowed),
        }
    }
    let off_lines = evaluation.decide_products();
    evaluation.decide_one(Class::Order, goods_minor, goods_minor - off_lines);
    evaluation.decide_one(Class::Shipping, goods_minor, goods_minor);
    let verdicts = evaluation.verdicts.into_iter();
    Ok(Outcome {
        goods_minor,
        // Every offer has a class, and every class has been decided.
        verdicts: verdicts
            .map(|verdict| verdict.unwrap_or(Verdict::Refused(Reason::NothingEligible)))
            .collect(),
    })
}

impl Evaluation<'_, '_> {
    fn refuse(&mut self, index: usize, reason: Reason) {
        self.verdicts[index] = Some(Verdict::Refused(reason));
    }

    fn apply(&mut self, index: usize, quote: Quote, lines: Vec<usize>) {
        self.verdicts[index] = Some(Verdict::Applied(Applied {
            base_minor: quote.base_minor,
            amount_minor: quote.amount_minor,
            lines,
            code: self.codes[index].map(str::to_owned),
            how: quote.how,
        }));
    }

    fn open_offers(&self, class: Class) -> Vec<usize> {
        let offers = self.config.offers.iter().enumerate();
        offers
            .filter(|(index, offer)| self.verdicts[*index].is_none() && offer.class() == class)
            .map(|(index, _)| index)
            .collect()
    }

    fn quote(
        &self,
        index: usize,
        lines: &[usize],
        base_minor: i64,
    ) -> std::result::Result<Quote, Reason> {
        quote(&self.config.offers[index], &self.terms, lines, base_minor)
    }

    fn reaches_minimum(&self, index: usize, base_minor: i64) -> bool {
        match self.config.offers[index].minimum_subtotal {
            None => true,
            Some(minimum) => at_least(base_minor, minimum, self.terms.conversion),
        }
    }

    /// Decides the product offers; returns what they take off together.
    fn decide_products(&mut self) -> i64 {
        let mut ranked: Vec<(usize, Quote, Vec<usize>)> = Vec::new();
        for index in self.open_offers(Class::Product) {
            let (lines, base_minor) = self.eligible_lines(index);
            if lines.is_empty() {
                self.refuse(index, Reason::NothingEligible);
            } else if !self.reaches_minimum(index, base_minor) {
                self.refuse(index, Reason::MinimumSubtotal);
            } else {
                match self.quote(index, &lines, base_minor) {
                    Ok(quote) => ranked.push((index, quote, lines)),
                    Err(reason) => self.refuse(index, reason),
                }
            }
        }
        let mut off_lines = 0;
        // Picking the next best is as quick as sorting for so few offers, and half the code in Wasm.
        while let Some(best) = first_best(&ranked) {
            let (index, mut quote, mut lines) = ranked.remove(best);
            let before = lines.len();
            lines.retain(|line| !self.taken_lines[*line]);
            if lines.is_empty() {
                self.refuse(index, Reason::LinesTaken);
                continue;
            }
            if lines.len() < before {
                match self.quote(index, &lines, self.cost_of(&lines)) {
                    Ok(again) => quote = again,
                    Err(reason) => {
                        self.refuse(index, reason);
                        continue;
                    }
                }
            }
            if let How::Units(units) = &quote.how {
                lines = units.iter().map(|(line, _)| *line).collect();
            }
            for line in &lines {
                self.taken_lines[*line] = true;
            }
            // Lines are taken once and amounts are at most their lines, so the sum is at most the cart.
            off_lines += quote.amount_minor;
            self.apply(index, quote, lines);
        }
        off_lines
    }

    /// Decides the offers of a class of which only one can apply: the one that takes most, the earlier among equals.
    fn decide_one(&mut self, class: Class, goods_minor: i64, base_minor: i64) {
        let mut best: Option<(usize, Quote)> = None;
        for index in self.open_offers(class) {
            if goods_minor == 0 {
                self.refuse(index, Reason::NothingEligible);
                continue;
            }
            if !self.reaches_minimum(index, goods_minor) {
                self.refuse(index, Reason::MinimumSubtotal);
                continue;
            }
            if base_minor == 0 {
                self.refuse(index, Reason::LinesTaken);
                continue;
            }
            let so_far = best.as_ref().map_or(-1, |(_, quote)| quote.amount_minor);
            match self.quote(index, &[], base_minor) {
                Err(reason) => self.refuse(index, reason),
                Ok(quote) if quote.amount_minor <= so_far => {
                    self.refuse(index, Reason::BetterOffer)
                }
                Ok(quote) => {
                    if let Some((beaten, _)) = best.replace((index, quote)) {
                        self.refuse(beaten, Reason::BetterOffer);
                    }
                }
            }
        }
        if let Some((index, quote)) = best {
            self.apply(index, quote, Vec::new());
        }
    }

    /// The lines an offer may discount, and what they cost together.
    fn eligible_lines(&self, index: usize) -> (Vec<usize>, i64) {
        let offer = &self.config.offers[index];
        let mut lines = Vec::new();
        let mut cost = 0;
        for (index, line) in self.terms.cart.lines.iter().enumerate() {
            if is_eligible(offer, line) {
                lines.push(index);
                // They are part of a cart whose sum was checked, so theirs cannot overflow.
                cost += line.subtotal_minor;
            }
        }
        (lines, cost)
    }

    fn cost_of(&self, lines: &[usize]) -> i64 {
        let costs = lines
            .iter()
            .map(|line| self.terms.cart.lines[*line].subtotal_minor);
        costs.sum()
    }
}

fn is_eligible(offer: &Offer, line: &Line<'_>) -> bool {
    let Some(limit) = &offer.only else {
        return !line.gift_card;
    };
    !line.gift_card
        && ((line.tagged && !limit.tags.is_empty())
            || (line.collected && !limit.collections.is_empty())
            || limit
                .products
                .iter()
                .any(|product| same_id(product, line.product)))
}

/// Ids of one kind share a long beginning and differ at their end, so they are compared from there.
fn same_id(first: &str, second: &str) -> bool {
    first.len() == second.len() && first.bytes().rev().eq(second.bytes().rev())
}

/// Whether an amount of the cart reaches a minimum of the shop, compared exactly and without rounding.
fn at_least(base_minor: i64, minimum: Money, conversion: Rate) -> bool {
    i128::from(base_minor) * i128::from(conversion.den())
        >= i128::from(minimum.minor) * i128::from(conversion.num())
}

/// The position of the highest rate, the earlier offer among equals.
fn first_best(ranked: &[(usize, Quote, Vec<usize>)]) -> Option<usize> {
    let positions = 0..ranked.len();
    positions.min_by(|first, second| by_rate(&ranked[*second].1, &ranked[*first].1))
}

/// Compares amount/base exactly. A quote's base is above zero because its amount is.
fn by_rate(first: &Quote, second: &Quote) -> Ordering {
    let left = i128::from(first.amount_minor) * i128::from(second.base_minor);
    let right = i128::from(second.amount_minor) * i128::from(first.base_minor);
    left.cmp(&right)
}
