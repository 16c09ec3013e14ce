//! The fast path does not allocate: the one claim that only an allocator can check.

use loyalty_core::earning::{Order, Program, Scratch, points};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PROGRAM: &str = r#"{
    "currency": "USD",
    "base": {"shipping": true, "tenders": {"gift_card": false}},
    "rules": [
        {"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 10, "per": 3}},
        {"id": "tea", "kind": "per_item", "points": 5, "only": {"collections": ["tea"]}},
        {"id": "big", "kind": "per_order", "points": 50, "minimum": "50"},
        {"id": "goal", "kind": "goal_spend", "points": 200, "goal": "100", "repeat": true}
    ],
    "multipliers": {"stacking": "additive", "cap": {"num": 3, "den": 1}, "items": [
        {"id": "gold", "source": "tier", "tiers": ["gold"], "factor": {"num": 5, "den": 4}},
        {"id": "week", "source": "campaign", "only": {"tags": ["new"]}, "factor": {"num": 2, "den": 1}}
    ]},
    "caps": {"per_order": 100000, "per_day": 200000},
    "exclusions": {"products": ["outlet"], "tags": ["sale"]}
}"#;

fn order(number: usize) -> Order {
    let lines: Vec<String> = (0..number % 8)
        .map(|line| {
            format!(
                r#"{{"id":"{line}","product_id":"p{number}","unit_price":"{}.99","quantity":{},"discount":"1.50",
                    "collections":["tea"],"tags":["{}"]}}"#,
                number % 90,
                line + 1,
                if line % 3 == 0 { "new" } else { "sale" }
            )
        })
        .collect();
    let text = format!(
        r#"{{"currency":"{}","exchange":{{"currency":"USD","rate":"1.0873"}},"customer":{{"tier":"gold"}},
            "shipping":"4.90","tenders":[{{"kind":"gift_card","amount":"3.00"}}],"lines":[{}]}}"#,
        if number.is_multiple_of(2) {
            "USD"
        } else {
            "EUR"
        },
        lines.join(",")
    );
    Order::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_thousand_orders_allocate_nothing() {
    let program = Program::parse(PROGRAM.as_bytes(), 1).unwrap();
    let orders: Vec<Order> = (0..1000).map(order).collect();
    let mut scratch = Scratch::default();
    // The largest order has seven lines; after it, the scratch is as large as it gets.
    points(&program, &orders[7], &mut scratch).unwrap();
    let before = ALLOCATIONS.with(Cell::get);
    let mut sum = 0;
    for order in &orders {
        sum += points(&program, order, &mut scratch).unwrap().0;
    }
    let after = ALLOCATIONS.with(Cell::get);
    assert_eq!(after - before, 0);
    assert!(sum > 100_000, "the orders earn something: {sum}");
    drop(orders.clone());
    assert!(ALLOCATIONS.with(Cell::get) > after, "the counter counts");
}
