//! The golden cases of earning, which Python and the Wasm modules run too.

use loyalty_core::earning::{
    Order, Program, Reason, Scratch, evaluate, part_ids, trace, trace_points,
};
use loyalty_core::{Error, ErrorCode};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn each_case(run: impl Fn(&str, &Value)) -> usize {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let mut cases = 0;
    for entry in fs::read_dir(vectors).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("earning_") {
            continue;
        }
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            run(&format!("{name}: {}", case["name"]), case);
            cases += 1;
        }
    }
    cases
}

fn document(case: &Value, name: &str) -> Option<String> {
    let text = case
        .get(format!("{name}_text"))
        .map(|text| text.as_str().unwrap().to_string());
    text.or_else(|| case.get(name).map(Value::to_string))
}

/// What the core makes of a case, in the words of the vectors.
fn outcome(case: &Value) -> Result<Option<Value>, Error> {
    let program = document(case, "program")
        .map(|text| Program::parse(text.as_bytes(), 1))
        .transpose()?;
    let order = document(case, "order")
        .map(|text| Order::parse(text.as_bytes()))
        .transpose()?;
    let (Some(program), Some(order)) = (program, order) else {
        return Ok(None);
    };
    let mut scratch = Scratch::default();
    let evaluation = evaluate(&program, &order, &mut scratch)?;
    let trace = trace(&program, &order, &mut scratch)?;
    assert_eq!(trace_points(&trace)?, evaluation.points);
    let lines: Vec<Value> = part_ids(&program, &order)
        .zip(&evaluation.parts)
        .map(|(id, points)| json!([id, points]))
        .collect();
    let mut outcome = json!({
        "points": evaluation.points.0,
        "reason": evaluation.reason.map(|reason| reason.as_str()),
        "base_minor": evaluation.base_minor,
        "lines": lines,
    });
    let trace: Value = serde_json::from_slice(&trace).unwrap();
    let silent: Map<String, Value> = trace["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| !rule["fired"].as_bool().unwrap())
        .map(|rule| {
            (
                rule["id"].as_str().unwrap().to_string(),
                rule["why_not"].clone(),
            )
        })
        .collect();
    if !silent.is_empty() {
        outcome["why_not"] = Value::Object(silent);
    }
    Ok(Some(outcome))
}

#[test]
fn every_case_gives_what_it_expects() {
    let cases = each_case(|name, case| match outcome(case) {
        Ok(outcome) => assert_eq!(outcome.as_ref(), case.get("expect"), "{name}"),
        Err(error) => {
            let error = json!({ "code": error.code.as_str(), "path": error.path });
            assert_eq!(Some(&error), case.get("error"), "{name}");
        }
    });
    assert!(cases > 150, "only {cases} cases were found");
}

#[test]
fn every_reason_and_refusal_has_a_case() {
    let seen = RefCell::new(BTreeSet::new());
    each_case(|_, case| {
        let error = case.get("error").map(|error| error["code"].clone());
        let trace = traced(case).unwrap_or_default();
        let lists = ["rules", "multipliers"].map(|list| trace[list].as_array().cloned());
        let why_not = lists
            .into_iter()
            .flatten()
            .flatten()
            .map(|item| item["why_not"].clone());
        let words = why_not.chain(error).chain([trace["reason"].clone()]);
        seen.borrow_mut()
            .extend(words.filter_map(|word| word.as_str().map(str::to_string)));
    });
    let seen = seen.into_inner();
    for reason in Reason::ALL {
        assert!(seen.contains(reason.as_str()), "no case shows {reason:?}");
    }
    for code in ErrorCode::ALL {
        // No golden document mixes currencies or carries a trace; unit tests do.
        let elsewhere = [ErrorCode::CurrencyMismatch, ErrorCode::TraceInconsistent];
        assert!(
            seen.contains(code.as_str()) || elsewhere.contains(&code),
            "no case shows {code:?}"
        );
    }
}

/// The trace of a case that can be evaluated.
fn traced(case: &Value) -> Option<Value> {
    let program = Program::parse(document(case, "program")?.as_bytes(), 1).ok()?;
    let order = Order::parse(document(case, "order")?.as_bytes()).ok()?;
    let trace = trace(&program, &order, &mut Scratch::default()).ok()?;
    serde_json::from_slice(&trace).ok()
}

#[test]
fn a_changed_trace_is_found_out() {
    each_case(|name, case| {
        let Some(trace) = traced(case) else {
            return;
        };
        for field in [
            "points",
            "rounded",
            "eligible_minor",
            "base_minor",
            "format",
        ] {
            let mut changed = trace.clone();
            changed[field] = json!(changed[field].as_i64().unwrap() + 1);
            assert!(
                trace_points(changed.to_string().as_bytes()).is_err(),
                "{name}: {field}"
            );
        }
        for field in ["counted_share", "factor", "exact", "remainder"] {
            let mut changed = trace.clone();
            changed[field] = json!("41/97");
            assert!(
                trace_points(changed.to_string().as_bytes()).is_err(),
                "{name}: {field}"
            );
        }
        for list in ["amounts", "parts", "rules"] {
            let last = trace[list].as_array().unwrap().last();
            let counts = last.is_some_and(|last| {
                ["effect_minor", "base_minor"]
                    .iter()
                    .any(|field| last[field].as_i64().is_some_and(|base| base != 0))
            });
            if counts {
                let mut changed = trace.clone();
                changed[list].as_array_mut().unwrap().pop();
                assert!(
                    trace_points(changed.to_string().as_bytes()).is_err(),
                    "{name}: {list}"
                );
            }
        }
    });
}
