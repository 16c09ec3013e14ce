//! The cart as the offers see it.

use super::config::Config;
use super::moment::{Moment, is_date};
use crate::{Currency, Error, ErrorCode, Rate, Result};

/// A cart, in the currency the buyer pays in.
#[derive(Debug, Clone)]
pub struct Cart<'a> {
    pub currency: Currency,
    /// How many units of the cart's currency one unit of the shop's is: Shopify's `presentmentCurrencyRate`.
    pub rate: Rate,
    /// ISO 3166 code of the buyer's country.
    pub country: &'a str,
    pub clock: Clock<'a>,
    /// The code that made Shopify run this discount.
    pub code: Option<&'a str>,
    /// All codes entered so far.
    pub entered_codes: Vec<&'a str>,
    /// The id of the points reservation that this cart carries.
    pub reservation: Option<&'a str>,
    pub lines: Vec<Line<'a>>,
    /// The delivery groups whose cost can be discounted.
    pub deliveries: usize,
    /// What delivery costs, in minor units of the cart's currency; 0 where it is not known.
    pub delivery_minor: i64,
}

#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Empty when no offer asks for products.
    pub product: &'a str,
    pub quantity: i64,
    /// What the line costs before discounts, in minor units of the cart's currency.
    pub subtotal_minor: i64,
    /// Gift cards are never discounted and never count towards a minimum.
    pub gift_card: bool,
    /// Whether the product has one of the config's tags.
    pub tagged: bool,
    /// Whether the product is in one of the config's collections.
    pub collected: bool,
}

/// The shop's local date, and for each of the config's moments (in their order) whether it has been reached.
#[derive(Debug, Clone, Copy)]
pub struct Clock<'a> {
    pub date: &'a str,
    pub reached: [bool; 2],
}

impl Cart<'_> {
    /// Refuses what Shopify never sends and the arithmetic does not bear. Returns what the lines that are no gift
    /// cards cost together, in minor units of the cart's currency.
    ///
    /// Errors: `VALUE_NEGATIVE` for an amount, `VALUE_ZERO` for a quantity below one or a rate of zero,
    /// `VALUE_INVALID` for a date that is none, `OVERFLOW`.
    pub(crate) fn goods_minor(&self) -> Result<i64> {
        if self.rate.num() == 0 {
            return Err(Error::new(ErrorCode::ValueZero, "must be more than 0").inside("rate"));
        }
        if !is_date(self.clock.date) {
            return Err(Error::new(ErrorCode::ValueInvalid, "must be a date").inside("date"));
        }
        let mut goods: i64 = 0;
        for (index, line) in self.lines.iter().enumerate() {
            let refused = |code, message| {
                let error = Error::new(code, message);
                Err(error.inside_element(index).inside("lines"))
            };
            if line.subtotal_minor < 0 {
                return refused(ErrorCode::ValueNegative, "costs less than nothing");
            }
            if line.quantity < 1 {
                return refused(ErrorCode::ValueZero, "has no units");
            }
            if !line.gift_card {
                goods = goods
                    .checked_add(line.subtotal_minor)
                    .ok_or_else(Error::overflow)?;
            }
        }
        Ok(goods)
    }

    /// The factor from minor units of `shop` to minor units of the cart: the exchange rate with the two
    /// currencies' decimals in it. Errors: `OVERFLOW`.
    pub(crate) fn conversion(&self, shop: Currency) -> Result<Rate> {
        let num = self.rate.num().checked_mul(self.currency.minor_per_unit());
        let den = self.rate.den().checked_mul(shop.minor_per_unit());
        Rate::new(
            num.ok_or_else(Error::overflow)?,
            den.ok_or_else(Error::overflow)?,
        )
    }
}

impl Clock<'_> {
    pub(crate) fn has_reached(&self, moment: &Moment, config: &Config) -> bool {
        match moment.date().cmp(self.date) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal if moment.is_midnight() => true,
            std::cmp::Ordering::Equal => {
                let asked = config.moments.iter().position(|asked| asked == moment);
                asked.is_some_and(|index| self.reached[index])
            }
        }
    }
}
