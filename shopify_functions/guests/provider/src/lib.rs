//! Shopify's own provider (lazy MessagePack input, output and logs) as a Wasm module of its own.
//!
//! At Shopify a trampoline links a function to this module and both count as instructions. The tests do the same, so
//! that what they count is what Shopify counts.

pub use shopify_function_provider::*;
