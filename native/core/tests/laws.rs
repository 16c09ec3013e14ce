//! Laws of earning that hold for every program and order.

use loyalty_core::earning::{Order, Program, Scratch, evaluate, points, trace, trace_points};
use loyalty_core::{Currency, Money, allocate};
use loyalty_core::{Error, ErrorCode};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

const PRODUCTS: [&str; 3] = ["tea", "cup", "pot"];
const TAGS: [&str; 2] = ["sale", "new"];
const TIERS: [&str; 2] = ["silver", "gold"];

fn conditions() -> impl Strategy<Value = Map<String, Value>> {
    let choice = || {
        prop_oneof![
            subsequence(&PRODUCTS[..], 1..=2).prop_map(|ids| json!({ "products": ids })),
            subsequence(&TAGS[..], 1).prop_map(|tags| json!({ "tags": tags })),
        ]
    };
    let condition = prop_oneof![
        4 => Just(None),
        1 => subsequence(&TIERS[..], 1).prop_map(|tiers| Some(("tiers", json!(tiers)))),
        1 => (1..400_u32).prop_map(|units| Some(("minimum", json!(units.to_string())))),
        1 => choice().prop_map(|items| Some(("only", items))),
        1 => choice().prop_map(|items| Some(("except", items))),
    ];
    proptest::collection::vec(condition, 2).prop_map(|some| {
        some.into_iter()
            .flatten()
            .map(|(name, value)| (name.to_string(), value))
            .collect()
    })
}

fn with(mut object: Value, more: Map<String, Value>) -> Value {
    object.as_object_mut().unwrap().extend(more);
    object
}

fn numbered(items: Vec<Value>) -> Vec<Value> {
    let number = |(index, item)| {
        with(
            item,
            Map::from_iter([("id".to_string(), json!(format!("item {index}")))]),
        )
    };
    items.into_iter().enumerate().map(number).collect()
}

fn rule() -> impl Strategy<Value = Value> {
    let per = select(vec![1, 2, 5, 7, 100]);
    let kind = prop_oneof![
        (1..30, per).prop_map(|(points, per)| {
            json!({"kind": "per_currency_unit", "rate": {"points": points, "per": per}})
        }),
        (1..50).prop_map(|points| json!({"kind": "per_item", "points": points})),
        (1..300).prop_map(|points| json!({"kind": "per_order", "points": points})),
        (1..300, select(vec!["100", "49.5"]), any::<bool>()).prop_map(|(points, goal, repeat)| {
            json!({"kind": "goal_spend", "points": points, "goal": goal, "repeat": repeat})
        }),
    ];
    (kind, conditions()).prop_map(|(kind, conditions)| with(kind, conditions))
}

fn multipliers() -> impl Strategy<Value = Value> {
    let factor = || {
        select(vec![(1, 1), (5, 4), (3, 2), (2, 1), (10, 3)])
            .prop_map(|(num, den)| json!({"num": num, "den": den}))
    };
    let item = (factor(), conditions()).prop_map(|(factor, conditions)| {
        with(json!({"source": "campaign", "factor": factor}), conditions)
    });
    let stacking = select(vec!["best_of", "additive"]);
    (proptest::collection::vec(item, 0..4), stacking, proptest::option::of(factor())).prop_map(
        |(items, stacking, cap)| json!({"items": numbered(items), "stacking": stacking, "cap": cap}),
    )
}

fn program() -> impl Strategy<Value = Value> {
    let base = any::<[bool; 6]>().prop_map(|[tax, shipping, tips, gift_cards, gift_card, after]| {
        json!({
            "tax": tax, "shipping": shipping, "tips": tips, "gift_cards": gift_cards,
            "discounts": if after { "after" } else { "before" }, "tenders": {"gift_card": gift_card},
        })
    });
    let rounding = select(vec!["floor", "ceil", "half_up", "half_even"]);
    let caps =
        prop_oneof![3 => Just(json!({})), 1 => (0..900).prop_map(|cap| json!({"per_order": cap}))];
    let rules = proptest::collection::vec(rule(), 1..4).prop_map(numbered);
    (rules, multipliers(), base, rounding, caps).prop_map(|(rules, multipliers, base, rounding, caps)| {
        json!({"rules": rules, "multipliers": multipliers, "base": base, "rounding": rounding, "caps": caps})
    })
}

/// A line of `quantity` equal items, in minor units, of which some are kept.
#[derive(Debug, Clone)]
struct Goods {
    product: &'static str,
    tags: Vec<&'static str>,
    gift_card: bool,
    price: i64,
    discount: i64,
    tax: i64,
    quantity: i64,
}

#[derive(Debug, Clone)]
struct Cart {
    currency: Currency,
    goods: Vec<Goods>,
    shipping: i64,
    refunded: i64,
    gift_card: i64,
    taxes_included: bool,
    tier: Option<&'static str>,
}

fn cart() -> impl Strategy<Value = Cart> {
    let goods = (
        select(&PRODUCTS[..]),
        subsequence(&TAGS[..], 0..=1),
        prop::bool::weighted(0.1),
        0..20_000_i64,
        0..3_000_i64,
        0..3_000_i64,
        1..5_i64,
    );
    let goods = goods.prop_map(
        |(product, tags, gift_card, price, discount, tax, quantity)| Goods {
            product,
            tags,
            gift_card,
            price,
            discount,
            tax,
            quantity,
        },
    );
    let currency =
        select(vec!["USD", "JPY", "KWD"]).prop_map(|code| Currency::parse(code).unwrap());
    let gift_card = prop_oneof![Just(0), 0..20_000_i64];
    (
        currency,
        proptest::collection::vec(goods, 1..5),
        0..2_000_i64,
        gift_card,
        any::<bool>(),
        proptest::option::of(select(&TIERS[..])),
    )
        .prop_map(
            |(currency, goods, shipping, gift_card, taxes_included, tier)| Cart {
                currency,
                goods,
                shipping,
                refunded: 0,
                gift_card,
                taxes_included,
                tier,
            },
        )
}

impl Cart {
    fn order(&self) -> Order {
        self.try_order().unwrap()
    }

    fn try_order(&self) -> Result<Order, Error> {
        let text = |minor| Money::new(minor, self.currency).to_string();
        let lines: Vec<Value> = self.goods.iter().enumerate().map(|(index, goods)| json!({
            "id": index.to_string(), "product_id": goods.product, "tags": goods.tags,
            "gift_card": goods.gift_card, "quantity": goods.quantity, "unit_price": text(goods.price),
            "discount": text(goods.discount * goods.quantity), "tax": text(goods.tax * goods.quantity),
        })).collect();
        let order = json!({
            "currency": self.currency.code(), "lines": lines, "shipping": text(self.shipping),
            "refunded": text(self.refunded), "taxes_included": self.taxes_included,
            "tenders": [{"kind": "gift_card", "amount": text(self.gift_card)}], "customer": {"tier": self.tier},
        });
        Order::parse(order.to_string().as_bytes())
    }

    fn points(&self, program: &Program) -> i64 {
        points(program, &self.order(), &mut Scratch::default())
            .unwrap()
            .0
    }
}

fn parsed(program: &Value) -> Program {
    Program::parse(program.to_string().as_bytes(), 1).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_add_up_and_traces_agree(program in program(), cart in cart()) {
        let (program, order) = (parsed(&program), cart.order());
        let mut scratch = Scratch::default();
        let evaluation = evaluate(&program, &order, &mut scratch).unwrap();
        prop_assert_eq!(evaluation.parts.iter().sum::<i64>(), evaluation.points.0);
        prop_assert_eq!(evaluation.points.0, cart.points(&program));
        let trace = trace(&program, &order, &mut scratch).unwrap();
        prop_assert_eq!(trace_points(&trace).unwrap(), evaluation.points);
    }

    #[test]
    fn a_higher_price_never_earns_less(program in program(), cart in cart(), line in 0..4_usize, more in 1..5_000_i64) {
        let program = parsed(&program);
        let mut dearer = cart.clone();
        let line = line % dearer.goods.len();
        dearer.goods[line].price += more;
        prop_assert!(dearer.points(&program) >= cart.points(&program));
        let mut more_of_it = cart.clone();
        more_of_it.goods[line].price = more_of_it.goods[line].price.max(more_of_it.goods[line].discount + more_of_it.goods[line].tax);
        let before = more_of_it.points(&program);
        more_of_it.goods[line].quantity += 1;
        prop_assert!(more_of_it.points(&program) >= before);
    }

    /// Refunds come one item or one amount at a time, in any order. What is kept only falls, the
    /// differences taken back add up, and in the end nothing is left.
    #[test]
    fn any_split_of_refunds_ends_at_zero(
        program in program(),
        mut cart in cart(),
        steps in proptest::collection::vec((0..5_usize, 0..3_000_i64), 0..30),
    ) {
        let program = parsed(&program);
        for goods in &mut cart.goods {
            goods.price = goods.price.max(goods.discount + goods.tax);
        }
        let earned = cart.points(&program);
        let (mut kept, mut taken_back) = (earned, 0);
        let the_rest = (0..cart.goods.len()).cycle().take(cart.goods.len() * 5).map(|line| (line, 0));
        for (line, amount) in steps.into_iter().chain(the_rest) {
            match cart.goods.get_mut(line) {
                Some(goods) => goods.quantity = (goods.quantity - 1).max(0),
                None => cart.refunded += amount,
            }
            let points = cart.points(&program);
            prop_assert!(points <= kept);
            taken_back += kept - points;
            kept = points;
        }
        cart.shipping = 0;
        taken_back += kept - cart.points(&program);
        prop_assert_eq!(cart.points(&program), 0);
        prop_assert_eq!(taken_back, earned);
    }

    #[test]
    fn whole_units_earn_the_same_in_every_currency(program in program(), cart in cart()) {
        let program = parsed(&program);
        let earned: Vec<i64> = ["USD", "JPY", "KWD"].iter().map(|code| {
            let currency = Currency::parse(code).unwrap();
            let unit = currency.minor_per_unit();
            let mut cart = cart.clone();
            cart.currency = currency;
            cart.shipping *= unit;
            cart.gift_card *= unit;
            for goods in &mut cart.goods {
                for amount in [&mut goods.price, &mut goods.discount, &mut goods.tax] {
                    *amount *= unit;
                }
            }
            cart.points(&program)
        }).collect();
        prop_assert_eq!(earned[0], earned[1]);
        prop_assert_eq!(earned[0], earned[2]);
    }

    #[test]
    fn huge_amounts_overflow_as_errors(
        program in program(),
        mut cart in cart(),
        amounts in proptest::collection::vec((0..i64::MAX, 0..1_000_000_000_i64), 4),
        shift in 0..50,
    ) {
        let program = parsed(&program);
        for (goods, (price, quantity)) in cart.goods.iter_mut().zip(amounts) {
            (goods.price, goods.quantity) = (price >> shift, quantity >> (shift / 2));
        }
        let mut scratch = Scratch::default();
        let order = match cart.try_order() {
            Ok(order) => order,
            Err(error) => {
                prop_assert_eq!(error.code, ErrorCode::Overflow);
                return Ok(());
            }
        };
        match evaluate(&program, &order, &mut scratch) {
            Err(error) => prop_assert_eq!(error.code, ErrorCode::Overflow),
            Ok(evaluation) => {
                prop_assert_eq!(evaluation.parts.iter().sum::<i64>(), evaluation.points.0);
                match trace(&program, &order, &mut scratch).and_then(|trace| trace_points(&trace)) {
                    Err(error) => prop_assert_eq!(error.code, ErrorCode::Overflow),
                    Ok(points) => prop_assert_eq!(points, evaluation.points),
                }
            }
        }
    }

    #[test]
    fn allocated_parts_are_quotas_rounded_up_or_down(total in 0..i64::MAX, weights in proptest::collection::vec(0..i64::MAX, 1..9)) {
        let weights: Vec<i128> = weights.into_iter().map(i128::from).collect();
        let sum: i128 = weights.iter().sum();
        prop_assume!(sum > 0);
        let parts = allocate(total, &weights).unwrap();
        prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(total));
        for (part, weight) in parts.iter().zip(&weights) {
            let quota = i128::from(total) * weight / sum;
            prop_assert!(i128::from(*part) == quota || i128::from(*part) == quota + 1);
        }
    }

    #[test]
    fn money_is_written_as_it_is_read(minor in any::<i64>(), code in select(vec!["USD", "JPY", "KWD", "CLF"])) {
        let money = Money::new(minor, Currency::parse(code).unwrap());
        prop_assert_eq!(Money::parse(&money.to_string(), money.currency), Ok(money));
    }
}
