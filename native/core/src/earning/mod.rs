//! Earning: how many points an order deserves under one version of a program, and why.
//!
//! One law holds it together. With `b` for the base of a part (a line, or the shipping or tip where
//! the program counts them), in minor units:
//!
//! ```text
//! exact points = sum over fired rules and the parts they match of
//!     b / 10^exponent × exchange × counted share × points / per × factor of the part
//!   + points × quantity × factor        for rules that pay per item
//!   + points × times × factor           for rules that pay per order or per goal
//! points = exact points, rounded once, then capped
//! ```
//!
//! Every term rises, or stays, as an amount rises, so points never fall when more is spent and kept.
//! That makes the inverse of earning the same function: after a refund the order is evaluated again
//! with the amounts that were kept, and the difference to what was booked is taken back. Any split of
//! refunds therefore ends where one full refund ends.

mod base;
mod case;
mod conditions;
mod evaluate;
mod factors;
mod fraction;
mod names;
mod order;
mod program;
mod program_json;
mod reason;
mod recheck;
mod rules;
mod trace;

pub use base::part_ids;
pub use evaluate::{Evaluation, Scratch, evaluate, points};
pub use order::Order;
pub use program::Program;
pub use reason::Reason;
pub use recheck::trace_points;
pub use trace::trace;
