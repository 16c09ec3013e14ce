//! The math core as a bare Wasm module: JSON in, JSON out, many cases in one call.
//!
//! The tests give it the same cases as the native module and compare the bytes. Cases are separated by line feeds and
//! the parts of a case by tabs; JSON never holds either unescaped. Every case is answered by one line.

use loyalty_core::earning::{self, Order, Program, Scratch};
use loyalty_core::{Error, ErrorCode, Result, discount};

/// Memory for `length` bytes of cases, which the next call reads.
#[unsafe(no_mangle)]
pub extern "C" fn allocate(length: usize) -> *mut u8 {
    Box::leak(vec![0_u8; length].into_boxed_slice()).as_mut_ptr()
}

/// Cases of program, version and order; answers with the trace of each evaluation.
///
/// # Safety
/// `cases` and `length` are those of the last call of [`allocate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn earning(cases: *mut u8, length: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { answer(cases, length, evaluate_earning) }
}

/// Cases as [`discount::evaluate_json`] takes them.
///
/// # Safety
/// `cases` and `length` are those of the last call of [`allocate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn discounts(cases: *mut u8, length: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { answer(cases, length, discount::evaluate_json) }
}

/// Address and length of the answers, in the high and the low half. Nothing is freed: the instance is used once.
unsafe fn answer(cases: *mut u8, length: usize, each: impl Fn(&str) -> Result<String>) -> u64 {
    // SAFETY: the block was made by `allocate` with this length, and nobody else holds it.
    let cases = unsafe { std::slice::from_raw_parts(cases, length) };
    let answers = match std::str::from_utf8(cases) {
        Ok(cases) => cases
            .split('\n')
            .map(|case| each(case).unwrap_or_else(error_line))
            .collect(),
        Err(_) => vec![error_line(Error::new(
            ErrorCode::JsonInvalid,
            "is not UTF-8",
        ))],
    };
    let text = answers.join("\n").leak();
    ((text.as_ptr() as u64) << 32) | text.len() as u64
}

fn evaluate_earning(case: &str) -> Result<String> {
    let malformed = || {
        Error::new(
            ErrorCode::JsonInvalid,
            "a case is program, version and order",
        )
    };
    let mut parts = case.split('\t');
    let mut part = || parts.next().ok_or_else(malformed);
    let (program, version, order) = (part()?, part()?, part()?);
    let version = version.parse().map_err(|_| malformed())?;
    let program = Program::parse(program.as_bytes(), version)?;
    let order = Order::parse(order.as_bytes())?;
    let trace = earning::trace(&program, &order, &mut Scratch::default())?;
    String::from_utf8(trace).map_err(|_| malformed())
}

fn error_line(error: Error) -> String {
    serde_json::json!({"error": {"code": error.code.as_str(), "path": error.path, "message": error.message}})
        .to_string()
}
