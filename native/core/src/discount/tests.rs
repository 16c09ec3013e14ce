//! The golden cases, and laws that hold for any config and any cart.

use super::*;
use crate::{Currency, ErrorCode};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::path::Path;

fn golden_cases() -> Vec<Json> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("discount_") {
            let document: Json =
                serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            cases.extend(document["cases"].as_array().unwrap().iter().cloned());
        }
    }
    cases
}

/// The case without what it expects.
fn input_of(case: &Json) -> String {
    let mut input = case.clone();
    let fields = input.as_object_mut().unwrap();
    fields.retain(|name, _| ["config", "customer", "cart", "classes"].contains(&name.as_str()));
    input.to_string()
}

fn verdicts(trace: &Json) -> Json {
    let offers = trace["offers"].as_array().unwrap().iter();
    offers
        .map(|offer| {
            let verdict = match offer["applied"].as_bool().unwrap() {
                true => offer["amount_minor"].clone(),
                false => offer["reason"].clone(),
            };
            (offer["id"].as_str().unwrap().to_owned(), verdict)
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What the named offers of a trace say under `field`, as `read` finds it.
fn said(trace: &Json, expected: &Json, read: impl Fn(&Json) -> Json) -> Json {
    let offers = trace["offers"].as_array().unwrap().iter();
    offers
        .filter(|offer| expected.get(offer["id"].as_str().unwrap()).is_some())
        .map(|offer| (offer["id"].as_str().unwrap().to_owned(), read(offer)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn golden_cases_hold() {
    let cases = golden_cases();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    for case in cases {
        let name = &case["name"];
        match evaluate_json(&input_of(&case)) {
            Ok(text) => {
                let (trace, expect) = (
                    serde_json::from_str::<Json>(&text).unwrap(),
                    &case["expect"],
                );
                assert_eq!(verdicts(&trace), expect["offers"], "{name}");
                assert_eq!(trace["goods_minor"], expect["goods_minor"], "{name}");
                assert_eq!(trace["discount_minor"], expect["discount_minor"], "{name}");
                assert_eq!(
                    trace_amount(&text).unwrap(),
                    trace["discount_minor"],
                    "{name}"
                );
                let lines = |offer: &Json| {
                    let lines = offer["lines"].as_array().unwrap().iter();
                    let share = |line: &Json| {
                        (
                            line["id"].as_str().unwrap().to_owned(),
                            line["amount_minor"].clone(),
                        )
                    };
                    lines.map(share).collect::<serde_json::Map<_, _>>().into()
                };
                let units = |offer: &Json| {
                    let units = offer["how"]["units"].as_array().unwrap().iter();
                    units.map(|unit| unit["taken"].clone()).collect()
                };
                let expected = |field: &str| expect.get(field).cloned().unwrap_or(json!({}));
                assert_eq!(
                    said(&trace, &expected("lines"), lines),
                    expected("lines"),
                    "{name}"
                );
                assert_eq!(
                    said(&trace, &expected("units"), units),
                    expected("units"),
                    "{name}"
                );
                let used = |offer: &Json| offer["how"]["used"].clone();
                assert_eq!(
                    said(&trace, &expected("points"), used),
                    expected("points"),
                    "{name}"
                );
                let code = |offer: &Json| offer["code"].clone();
                assert_eq!(
                    said(&trace, &expected("codes"), code),
                    expected("codes"),
                    "{name}"
                );
            }
            Err(error) => {
                let got = json!({"code": error.code.as_str(), "path": error.path});
                assert_eq!(got, case["error"], "{name}: {error}");
            }
        }
    }
}

#[test]
fn query_variables_answer_what_the_offers_ask() {
    let config = json!({"version": 1, "currency": "USD", "offers": [
        {"id": "a", "value": {"kind": "percentage", "percent": "5"}, "only": {"tags": ["sale"]},
         "starts_at": "2026-11-27T09:00:00", "ends_at": "2026-12-01"},
        {"id": "b", "value": {"kind": "percentage", "percent": "6"}, "only": {"tags": ["sale"], "collections": ["c"]}},
    ]});
    let variables: Json =
        serde_json::from_str(&query_variables(&config.to_string()).unwrap()).unwrap();
    let expected = json!({"tags": ["sale"], "collections": ["c"],
        "firstMoment": "2026-11-27T09:00:00", "secondMoment": "9999-12-31T23:59:59"});
    assert_eq!(variables, expected);
    assert_eq!(
        query_variables("{").unwrap_err().code,
        ErrorCode::JsonInvalid
    );
}

#[test]
fn a_config_has_at_most_ten_thousand_bytes() {
    let config = |note: usize| {
        format!(
            r#"{{"version":1,"currency":"USD","offers":[],"note":"{}"}}"#,
            "x".repeat(note)
        )
    };
    let room = 10_000 - config(0).len();
    assert!(Config::parse(&config(room)).is_ok());
    assert_eq!(
        Config::parse(&config(room + 1)).unwrap_err().code,
        ErrorCode::ValueTooLarge
    );
}

#[test]
fn a_changed_trace_is_found() {
    for case in golden_cases() {
        let Ok(text) = evaluate_json(&input_of(&case)) else {
            continue;
        };
        let trace: Json = serde_json::from_str(&text).unwrap();
        for pointer in numbers_of(&trace, String::new()) {
            let mut changed = trace.clone();
            let number = changed.pointer_mut(&pointer).unwrap();
            *number = json!(number.as_i64().unwrap().wrapping_mul(3).wrapping_add(7));
            let again = trace_amount(&changed.to_string());
            // A change may leave every amount as it was, as in a fraction of the same value, but never alter the sum.
            if let Ok(amount) = again {
                assert_eq!(
                    amount,
                    trace["discount_minor"].as_i64().unwrap(),
                    "{pointer} of {text}"
                );
                assert!(
                    !pointer.ends_with("amount_minor") && !pointer.ends_with("discount_minor"),
                    "{pointer}"
                );
            }
        }
    }
}

fn numbers_of(value: &Json, at: String) -> Vec<String> {
    match value {
        Json::Number(_) => vec![at],
        Json::Array(items) => {
            let items = items.iter().enumerate();
            items
                .flat_map(|(index, item)| numbers_of(item, format!("{at}/{index}")))
                .collect()
        }
        Json::Object(fields) => fields
            .iter()
            .flat_map(|(name, item)| numbers_of(item, format!("{at}/{name}")))
            .collect(),
        _ => Vec::new(),
    }
}

const PRODUCTS: [&str; 3] = ["tea", "cup", "pot"];

fn values() -> impl Strategy<Value = Json> {
    let percent = (1_i64..=1000).prop_map(|tenths| format!("{}.{}", tenths / 10, tenths % 10));
    let amount = (1_i64..=9000).prop_map(|units| units.to_string());
    prop_oneof![
        amount
            .clone()
            .prop_map(|amount| json!({"kind": "amount_off", "amount": amount})),
        percent
            .clone()
            .prop_map(|percent| json!({"kind": "percentage", "percent": percent})),
        (percent.clone(), amount.clone()).prop_map(
            |(percent, most)| json!({"kind": "percentage", "percent": percent, "at_most": most})
        ),
        (1_i64..5).prop_map(|quantity| json!({"kind": "free_product", "quantity": quantity})),
        (1_i64..500, amount, percent).prop_map(|(points, worth, share)| {
            json!({"kind": "pay_with_points", "points": points, "worth": worth, "share": share})
        }),
        Just(json!({"kind": "free_shipping"})),
    ]
}

fn configs() -> impl Strategy<Value = Json> {
    let only = prop_oneof![
        Just(Json::Null),
        Just(json!({"tags": ["sale"]})),
        proptest::sample::select(&PRODUCTS[..]).prop_map(|product| json!({"products": [product]})),
    ];
    let minimum = proptest::option::of((1_i64..3000).prop_map(|units| units.to_string()));
    let offer = (values(), only, minimum).prop_map(|(value, only, minimum)| {
        let kind = value["kind"].as_str().unwrap().to_owned();
        let only = match (kind.as_str(), only) {
            ("free_product", Json::Null) => json!({"tags": ["sale"]}),
            ("free_shipping" | "pay_with_points", _) => Json::Null,
            (_, only) => only,
        };
        json!({"value": value, "only": only, "minimum_subtotal": minimum})
    });
    let currency = proptest::sample::select(&["USD", "JPY", "KWD"][..]);
    (currency, proptest::collection::vec(offer, 0..6)).prop_map(|(currency, mut offers)| {
        for (index, offer) in offers.iter_mut().enumerate() {
            offer["id"] = json!(format!("offer {index}"));
        }
        json!({"version": 1, "currency": currency, "offers": offers})
    })
}

fn carts() -> impl Strategy<Value = Json> {
    let line = (0_i64..500_000, 1_i64..6, 0_usize..3, any::<bool>(), 0_u8..8);
    let lines = proptest::collection::vec(line, 0..7);
    let rate = proptest::sample::select(&["1", "0.92", "150.25", "0.0066", "3.2528"][..]);
    let currency = proptest::sample::select(&["USD", "JPY", "KWD"][..]);
    (currency, rate, lines).prop_map(|(code, rate, lines)| {
        let currency = Currency::parse(code).unwrap();
        let lines: Vec<Json> = lines
            .into_iter()
            .enumerate()
            .map(|(index, (minor, quantity, product, tagged, card))| {
                let tags = if tagged { vec!["sale"] } else { vec![] };
                json!({"id": index.to_string(), "subtotal": crate::Money::new(minor, currency).to_string(),
                    "quantity": quantity, "product": PRODUCTS[product], "tags": tags, "gift_card": card == 0})
            })
            .collect();
        json!({"currency": code, "rate": rate, "local_time": "2026-11-21", "lines": lines, "reservation": "r",
            "deliveries": 1})
    })
}

fn case_of(config: &Json, cart: &Json) -> String {
    let customer =
        json!({"version": 1, "balance": 70_000, "reservation": {"id": "r", "points": 50_000}});
    json!({"config": config, "cart": cart, "customer": customer}).to_string()
}

/// What all offers take off each line, by line id.
fn taken_by_line(trace: &Json) -> std::collections::BTreeMap<String, i64> {
    let mut taken = std::collections::BTreeMap::new();
    for offer in trace["offers"].as_array().unwrap() {
        for line in offer["lines"].as_array().into_iter().flatten() {
            let id = line["id"].as_str().unwrap().to_owned();
            *taken.entry(id).or_default() += line["amount_minor"].as_i64().unwrap();
        }
    }
    taken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn no_line_pays_less_than_nothing(config in configs(), cart in carts()) {
        let text = evaluate_json(&case_of(&config, &cart)).unwrap();
        let trace: Json = serde_json::from_str(&text).unwrap();
        let taken = taken_by_line(&trace);
        let currency = Currency::parse(cart["currency"].as_str().unwrap()).unwrap();
        for line in cart["lines"].as_array().unwrap() {
            let off = taken.get(line["id"].as_str().unwrap()).copied().unwrap_or(0);
            let cost = crate::Money::parse(line["subtotal"].as_str().unwrap(), currency).unwrap().minor;
            let most = if line["gift_card"] == json!(true) { 0 } else { cost };
            prop_assert!((0..=most).contains(&off), "{line} loses {off}: {text}");
        }
        let off_goods: i64 = taken.values().sum();
        prop_assert_eq!(off_goods, trace["discount_minor"].as_i64().unwrap());
        prop_assert!(off_goods <= trace["goods_minor"].as_i64().unwrap());
        prop_assert_eq!(trace_amount(&text), Ok(off_goods));
    }

    #[test]
    fn at_most_one_offer_of_a_line_and_of_the_order(config in configs(), cart in carts()) {
        let text = evaluate_json(&case_of(&config, &cart)).unwrap();
        let trace: Json = serde_json::from_str(&text).unwrap();
        let applied = |class: &str| {
            let offers = trace["offers"].as_array().unwrap().iter();
            offers
                .filter(|offer| offer["class"] == json!(class) && offer["applied"] == json!(true))
                .cloned()
                .collect::<Vec<_>>()
        };
        prop_assert!(applied("order").len() <= 1 && applied("shipping").len() <= 1);
        let products = applied("product");
        let mut lines: Vec<&str> = products
            .iter()
            .flat_map(|offer| offer["lines"].as_array().unwrap())
            .map(|line| line["id"].as_str().unwrap())
            .collect();
        let count = lines.len();
        lines.sort_unstable();
        lines.dedup();
        prop_assert_eq!(lines.len(), count, "{}", text);
    }

    #[test]
    fn parsers_never_panic(text in ".{0,200}") {
        let _ = Config::parse(&text);
        let _ = Loyalty::parse(&text);
        let _ = evaluate_json(&text);
        let _ = trace_amount(&text);
    }

    #[test]
    fn a_mutated_config_is_read_or_refused(config in configs(), cut in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let mut bytes = config.to_string().into_bytes();
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        let text = String::from_utf8(bytes).unwrap();
        // The case takes the config as text, so a broken one reaches the same reader as in checkout.
        let cart = json!({"currency": "USD", "local_time": "2026-11-21",
            "lines": [{"id": "a", "quantity": 1, "subtotal": "10.00", "product": "tea", "tags": ["sale"]}]});
        let case = json!({"config": text, "cart": cart}).to_string();
        match (Config::parse(&text), evaluate_json(&case)) {
            (Ok(_), Ok(trace)) => prop_assert!(trace_amount(&trace).is_ok()),
            (Err(error), Err(outer)) => {
                prop_assert_eq!(error.code, outer.code);
                prop_assert!(outer.path.starts_with("config"));
            }
            (parsed, evaluated) => prop_assert!(false, "{parsed:?} but {evaluated:?}"),
        }
    }
}
