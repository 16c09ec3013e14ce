//! Discounts at checkout: which offers of a discount apply to a cart, and what each takes off.
//!
//! The same code runs inside Shopify's checkout (as Wasm), on the server and in the tests. A discount is a
//! [`Config`] with up to 25 offers; a customer is what the loyalty metafield says; a cart is its lines in the
//! cart's own currency. [`evaluate`] gives every offer a verdict: applied with its amount, or refused with the
//! reason. No offer takes more than its lines cost, and all of them together never more than the cart.

mod amount;
mod cart;
mod conditions;
mod config;
mod customer;
mod evaluate;
mod explain;
mod grammar;
mod moment;
mod recheck;
#[cfg(test)]
mod tests;

pub use cart::{Cart, Clock, Line};
pub use conditions::Reason;
pub use config::{Class, Config, Limit, Offer, Trigger, Value};
pub use customer::{Customer, Loyalty, Reservation};
pub use evaluate::{Applied, Outcome, Taken, Verdict, evaluate};
pub use explain::{evaluate_json, query_variables};
pub use recheck::trace_amount;
