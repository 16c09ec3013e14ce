//! LoyalNest's math core: the same numbers on the server, in the workers and in Shopify's checkout.
//!
//! Everything is an integer or an exact fraction, every operation that could overflow is checked and
//! returns an [`Error`] with a code, and every division names its rounding. Time is an input and
//! there is no I/O, so the crate builds for `wasm32-unknown-unknown` as it stands.

#![forbid(unsafe_code)]

mod allocate;
mod currency;
pub mod discount;
pub mod earning;
mod error;
mod exact;
pub mod json;
mod money;
mod rate;

pub use allocate::allocate;
pub use currency::Currency;
pub use error::{Error, ErrorCode, Result};
pub use money::{Money, Points};
pub use rate::{Rate, Rounding, divide};
