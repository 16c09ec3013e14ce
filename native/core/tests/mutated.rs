//! Thousands of damaged documents through the entry of the fuzz target, on a stable compiler.

use serde_json::{Map, Value};
use std::fs;
use std::path::PathBuf;

#[path = "../../fuzz/entry.rs"]
mod entry;

const MUTATIONS_PER_DOCUMENT: u64 = 40;

#[test]
fn damaged_documents_are_refused_or_keep_the_laws() {
    let documents = documents();
    assert!(documents.len() > 200);
    let mut random = Random(7);
    for document in &documents {
        entry::run(document);
        for _ in 0..MUTATIONS_PER_DOCUMENT {
            let mut damaged = document.clone();
            for _ in 0..=random.below(3) {
                damage(&mut damaged, &documents, &mut random);
            }
            entry::run(&damaged);
        }
    }
}

/// Every document of the golden cases, each discount's case as a whole, and the trace of every evaluation.
fn documents() -> Vec<Vec<u8>> {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let mut paths: Vec<PathBuf> = fs::read_dir(vectors)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut documents = Vec::new();
    for path in paths {
        let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let mut whole = Map::new();
            for name in ["program", "order", "config", "customer", "cart", "classes"] {
                if let Some(document) = case.get(name) {
                    documents.push(document.to_string().into_bytes());
                    whole.insert(name.to_string(), document.clone());
                }
            }
            if whole.contains_key("cart") {
                documents.push(Value::Object(whole).to_string().into_bytes());
            }
            documents.extend(trace(case));
        }
    }
    documents
}

fn trace(case: &Value) -> Option<Vec<u8>> {
    let [program, order] = ["program", "order"].map(|name| case[name].to_string());
    use loyalty_core::earning::{Order, Program, Scratch, trace};
    let program = Program::parse(program.as_bytes(), 1).ok()?;
    trace(
        &program,
        &Order::parse(order.as_bytes()).ok()?,
        &mut Scratch::default(),
    )
    .ok()
}

/// Changes, drops, doubles or splices some bytes.
fn damage(document: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    if document.is_empty() {
        return;
    }
    let start = random.below(document.len());
    let end = (start + 1 + random.below(24)).min(document.len());
    match random.below(6) {
        0 => document[start] ^= 1 << random.below(8),
        1 => document.truncate(start),
        2 => drop(document.drain(start..end)),
        3 => {
            let copy = document[start..end].to_vec();
            document.splice(start..start, copy);
        }
        4 => {
            let other = &others[random.below(others.len())];
            let from = random.below(other.len());
            let to = (from + random.below(60)).min(other.len());
            document.splice(start..end, other[from..to].iter().copied());
        }
        _ => {
            // A digit is the likeliest way into numbers that nobody thought of.
            if let Some(digit) = document[start..].iter().position(u8::is_ascii_digit) {
                let digits = vec![b'9'; 1 + random.below(19)];
                document.splice(start + digit..=start + digit, digits);
            }
        }
    }
}

/// A linear congruential generator (Knuth's MMIX constants): the same damage in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
