//! Reads every field of a cart that the discount function asks for, and returns no operation.
//!
//! It is the yardstick of the instruction tests: what it spends is the price of the input alone, so the discount
//! function's distance from it is the price of our own work. It reads in two ways: `read_generated` through the
//! accessors that Shopify's crate generates, as its templates do, and `read_interned` by hand with interned names, as
//! the discount function does; the second is the cheaper and so the stricter yardstick.

use schema::cart_lines_discounts_generate_run::Input;
use schema::cart_lines_discounts_generate_run::input::cart::lines::Merchandise;
use shopify_function::Result;
use shopify_function::prelude::*;
use shopify_function::wasm_api::{Deserialize, Value, read};
use std::process;

#[typegen("../../loyalty-discount/schema.graphql", enums_as_str = ["CountryCode", "CurrencyCode"])]
mod schema {
    #[query(
        "../../loyalty-discount/src/cart_lines_discounts_generate_run.graphql",
        custom_scalar_overrides = {
            "Input.presentmentCurrencyRate" => ::std::string::String,
            "Input.cart.lines.cost.subtotalAmount.amount" => ::std::string::String,
        }
    )]
    pub mod cart_lines_discounts_generate_run {}
}

type Nothing = schema::CartLinesDiscountsGenerateRunResult;

/// What was read is summed and logged, so that the compiler cannot leave the reads out.
fn nothing(read: usize) -> Result<Nothing> {
    log!("read {read}");
    Ok(Nothing {
        operations: Vec::new(),
    })
}

#[shopify_function]
fn read_generated(input: Input) -> Result<Nothing> {
    let mut read = input.presentment_currency_rate().len();
    read += input.discount().discount_classes().len();
    read += input
        .discount()
        .config()
        .map_or(0, |config| config.value().len());
    read += input
        .triggering_discount_code()
        .map_or(0, |code| code.len());
    read += input
        .entered_discount_codes()
        .iter()
        .map(|entered| entered.code().len())
        .sum::<usize>();
    read += input.localization().country().iso_code().len();
    let local_time = input.shop().local_time();
    read += local_time.date().len();
    read += usize::from(*local_time.first_reached()) + usize::from(*local_time.second_reached());
    let cart = input.cart();
    read += cart
        .reservation()
        .and_then(|reservation| reservation.value())
        .map_or(0, |value| value.len());
    let customer = cart.buyer_identity().and_then(|buyer| buyer.customer());
    read += customer
        .and_then(|customer| customer.loyalty())
        .map_or(0, |loyalty| loyalty.value().len());
    read += cart.cost().subtotal_amount().currency_code().len();
    for line in cart.lines() {
        read += line.id().len() + *line.quantity() as usize;
        read += line.cost().subtotal_amount().amount().len();
        if let Merchandise::ProductVariant(variant) = line.merchandise() {
            let product = variant.product();
            read += product.id().len() + usize::from(*product.is_gift_card());
            read += usize::from(*product.tagged()) + usize::from(*product.collected());
        }
    }
    nothing(read)
}

/// The input, unread.
struct Unread(Value);

impl Deserialize for Unread {
    fn deserialize(value: &Value) -> std::result::Result<Self, read::Error> {
        Ok(Unread(*value))
    }
}

#[shopify_function]
fn read_interned(input: Unread) -> Result<Nothing> {
    let mut read = 0;
    for path in [
        &["discount", "config", "value"][..],
        &["triggeringDiscountCode"],
        &["presentmentCurrencyRate"],
        &["localization", "country", "isoCode"],
        &["shop", "localTime", "date"],
        &["cart", "reservation", "value"],
        &["cart", "buyerIdentity", "customer", "loyalty", "value"],
        &["cart", "cost", "subtotalAmount", "currencyCode"],
    ] {
        read += length(at(input.0, path));
    }
    for name in ["firstReached", "secondReached"] {
        read += flag(at(input.0, &["shop", "localTime", name]));
    }
    for class in elements(at(input.0, &["discount", "discountClasses"])) {
        read += length(class);
    }
    for entered in elements(at(input.0, &["enteredDiscountCodes"])) {
        read += length(entered.get_obj_prop("code"));
    }
    nothing(read + read_lines(at(input.0, &["cart", "lines"])))
}

fn read_lines(lines: Value) -> usize {
    let [
        id,
        quantity,
        cost,
        subtotal_amount,
        amount,
        merchandise,
        product,
    ] = [
        "id",
        "quantity",
        "cost",
        "subtotalAmount",
        "amount",
        "merchandise",
        "product",
    ]
    .map(|name| lines.intern_utf8_str(name));
    let flags = ["isGiftCard", "tagged", "collected"].map(|name| lines.intern_utf8_str(name));
    let mut read = 0;
    for line in elements(lines) {
        read += length(line.get_interned_obj_prop(id));
        read += line
            .get_interned_obj_prop(quantity)
            .as_number()
            .unwrap_or(0.0) as usize;
        let subtotal = line
            .get_interned_obj_prop(cost)
            .get_interned_obj_prop(subtotal_amount);
        read += length(subtotal.get_interned_obj_prop(amount));
        let product = line
            .get_interned_obj_prop(merchandise)
            .get_interned_obj_prop(product);
        read += length(product.get_interned_obj_prop(id));
        for name in flags {
            read += flag(product.get_interned_obj_prop(name));
        }
    }
    read
}

fn at(value: Value, path: &[&str]) -> Value {
    path.iter()
        .fold(value, |value, name| value.get_obj_prop(name))
}

fn elements(list: Value) -> impl Iterator<Item = Value> {
    (0..list.array_len().unwrap_or(0)).map(move |index| list.get_at_index(index))
}

fn length(value: Value) -> usize {
    value.as_string().map_or(0, |text| text.len())
}

fn flag(value: Value) -> usize {
    usize::from(value.as_bool().unwrap_or(false))
}

fn main() {
    process::abort();
}
