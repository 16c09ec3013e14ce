//! The checkout side of LoyalNest's discounts: reads Shopify's input, asks the math core, writes operations.
//!
//! Whatever is missing or wrong, the answer is "no operations" and one line in the log. A trap would cost the
//! customer every discount of the function and tell the merchant nothing.

mod input;
#[cfg(target_family = "wasm")]
mod memory;
mod output;

use input::{Asks, Facts, Input, Lines};
use loyalty_core::Error;
use loyalty_core::discount::{Cart, Class, Config, Customer, Outcome, Verdict, evaluate};
use schema::{CartDeliveryOptionsDiscountsGenerateRunResult, CartLinesDiscountsGenerateRunResult};
use shopify_function::Result;
use shopify_function::prelude::*;
use shopify_function::wasm_api::Context;
use std::process;

/// The result types of Shopify's schema. Amounts stay decimal text: Shopify's own `Decimal` is a 64-bit float.
#[typegen(
    "schema.graphql",
    enums_as_str = ["CountryCode", "CurrencyCode"],
    custom_scalar_overrides = {
        "CartLineMinimumSubtotal.minimumAmount" => ::std::string::String,
        "FixedAmount.amount" => ::std::string::String,
        "OrderMinimumSubtotal.minimumAmount" => ::std::string::String,
        "ProductDiscountCandidateFixedAmount.amount" => ::std::string::String,
        "Percentage.value" => ::std::string::String,
    }
)]
mod schema {}

/// Shopify keeps the last 1,000 bytes of a log.
const LOG_BYTES: usize = 900;

#[shopify_function]
fn cart_lines_discounts_generate_run(input: Input) -> Result<CartLinesDiscountsGenerateRunResult> {
    let mut operations = Vec::new();
    let lines = input.lines();
    decide(
        &input,
        &[Class::Order, Class::Product],
        &lines,
        &mut |config, outcome, cart| {
            operations = output::cart_operations(config, outcome, cart, |line| lines.id(line));
        },
    );
    Ok(CartLinesDiscountsGenerateRunResult { operations })
}

#[shopify_function]
fn cart_delivery_options_discounts_generate_run(
    input: Input,
) -> Result<CartDeliveryOptionsDiscountsGenerateRunResult> {
    let mut operations = Vec::new();
    decide(
        &input,
        &[Class::Shipping],
        &input.lines(),
        &mut |config, outcome, _| {
            operations = output::delivery_operations(config, outcome, &input.deliveries());
        },
    );
    Ok(CartDeliveryOptionsDiscountsGenerateRunResult { operations })
}

/// Evaluates the offers of one target and hands the outcome to `write`; logs why where nothing applies.
fn decide(
    input: &Input,
    target: &[Class],
    lines: &Lines,
    write: &mut dyn FnMut(&Config, &Outcome, &Cart<'_>),
) {
    let facts = input.facts();
    if let Err(reason) = try_to_decide(&facts, target, lines, write) {
        log_line(&reason);
    }
}

fn try_to_decide(
    facts: &Facts,
    target: &[Class],
    lines: &Lines,
    write: &mut dyn FnMut(&Config, &Outcome, &Cart<'_>),
) -> std::result::Result<(), String> {
    let config = config_for(facts, target)?;
    let customer = Customer::parse(facts.loyalty.as_deref());
    let asks = Asks {
        products: config.asks_products(),
        quantities: config.asks_quantities(),
        tags: config.asks_tags(),
        collections: config.asks_collections(),
    };
    let in_cart = |error| refusal("cart", &error);
    let currency = facts.currency().map_err(in_cart)?;
    let read = lines.read(currency, asks).map_err(in_cart)?;
    let cart = facts.cart(&read).map_err(in_cart)?;
    let outcome = evaluate(&config, &customer, &cart, &facts.classes).map_err(in_cart)?;
    if !outcome
        .verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Applied(_)))
    {
        return Err(reasons(&config, &customer, &outcome));
    }
    write(&config, &outcome, &cart);
    Ok(())
}

/// The discount's config with the offers of this target alone; the other target decides the rest.
fn config_for(facts: &Facts, target: &[Class]) -> std::result::Result<Config, String> {
    let text = facts
        .config
        .as_deref()
        .ok_or("the discount has no config metafield")?;
    let mut config = Config::parse(text).map_err(|error| refusal("config", &error))?;
    config
        .offers
        .retain(|offer| target.contains(&offer.class()));
    match config.offers.is_empty() {
        true => Err("the discount has no offer for this target".to_owned()),
        false => Ok(config),
    }
}

fn refusal(what: &str, error: &Error) -> String {
    format!("{what}: {} {error}", error.code.as_str())
}

/// Why each offer was refused.
fn reasons(config: &Config, customer: &Customer, outcome: &Outcome) -> String {
    let mut line = String::from("no offer applies:");
    for (offer, verdict) in config.offers.iter().zip(&outcome.verdicts) {
        if let Verdict::Refused(reason) = verdict {
            line += &format!(" {}={}", offer.id, reason.as_str());
        }
    }
    if let Customer::Unreadable(error) = customer {
        line += &format!(" ({})", refusal("loyalty", error));
    }
    line
}

/// Writes one line, cut so that Shopify keeps its beginning.
fn log_line(text: &str) {
    let mut end = text.len().min(LOG_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let one_line = text
        .get(..end)
        .unwrap_or_default()
        .replace(['\n', '\r'], " ");
    Context.log(&format!("loyalty-discount: {one_line}\n"));
}

fn main() {
    process::abort();
}
