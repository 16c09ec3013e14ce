//! What every fuzzed input goes through; the stable test `mutated` in `native/core` runs the same.

use loyalty_core::discount::{Config, Loyalty, evaluate_json, query_variables, trace_amount};
use loyalty_core::earning::{
    Order, Program, Scratch, evaluate, part_ids, points, trace, trace_points,
};

const PROGRAM: &[u8] =
    br#"{"rules":[{"id":"purchase","kind":"per_currency_unit","rate":{"points":10,"per":3}}]}"#;
const ORDER: &[u8] =
    br#"{"currency":"USD","customer":{"tier":"gold"},"lines":[{"id":"1","unit_price":"19.99"}]}"#;

/// Reads the input as everything that the core reads, and evaluates whatever can be read: as a
/// program, an order and a trace, and as a discount's metafields and cart. Nothing may panic, and what is
/// evaluated has to keep the laws that hold for every input.
pub fn run(input: &[u8]) {
    if let Ok(program) = Program::parse(input, 1) {
        keeps_the_laws(&program, &Order::parse(ORDER).expect("a valid order"));
    }
    if let Ok(order) = Order::parse(input) {
        keeps_the_laws(
            &Program::parse(PROGRAM, 1).expect("a valid program"),
            &order,
        );
    }
    let _ = trace_points(input);
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let _ = Config::parse(text);
    let _ = Loyalty::parse(text);
    let _ = query_variables(text);
    match evaluate_json(text) {
        Ok(answer) => assert!(trace_amount(&answer).expect("an answer can be read back") >= 0),
        Err(_) => drop(trace_amount(text)),
    }
}

fn keeps_the_laws(program: &Program, order: &Order) {
    let mut scratch = Scratch::default();
    let Ok(evaluation) = evaluate(program, order, &mut scratch) else {
        return;
    };
    assert!(evaluation.points.0 >= 0);
    assert_eq!(evaluation.points.0 == 0, evaluation.reason.is_some());
    assert_eq!(evaluation.parts.iter().sum::<i64>(), evaluation.points.0);
    assert_eq!(evaluation.parts.len(), part_ids(program, order).count());
    assert_eq!(points(program, order, &mut scratch), Ok(evaluation.points));
    if let Ok(trace) = trace(program, order, &mut scratch) {
        // Re-evaluating works with other denominators, so it may overflow where evaluating did not.
        if let Ok(again) = trace_points(&trace) {
            assert_eq!(again, evaluation.points);
        }
    }
}
