//! Discounts for Python: JSON in, JSON out, as the Wasm modules of the tests have it.

use crate::{json_bytes, refused};
use loyalty_core::{Error, ErrorCode, discount};
use pyo3::prelude::*;

#[pyfunction]
pub fn discount_evaluate<'py>(py: Python<'py>, case: &Bound<'py, PyAny>) -> PyResult<String> {
    let case = text(case)?;
    discount::evaluate_json(case).map_err(|error| refused(py, error))
}

#[pyfunction]
pub fn discount_query_variables<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
) -> PyResult<String> {
    let config = text(config)?;
    discount::query_variables(config).map_err(|error| refused(py, error))
}

#[pyfunction]
pub fn discount_trace_amount<'py>(py: Python<'py>, trace: &Bound<'py, PyAny>) -> PyResult<i64> {
    let trace = text(trace)?;
    discount::trace_amount(trace).map_err(|error| refused(py, error))
}

fn text<'a>(document: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    std::str::from_utf8(json_bytes(document)?).map_err(|_| {
        let error = Error::new(ErrorCode::JsonInvalid, "the text is not UTF-8");
        refused(document.py(), error)
    })
}
