//! The Python module `loyalty_native`: the math core with Python's types around it and no rules of its own.

mod discount;

use loyalty_core::earning::{self, Scratch};
use loyalty_core::{Currency, Error, ErrorCode, Money, Rate, Rounding};
use pyo3::create_exception;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::sync::Arc;

create_exception!(
    loyalty_native,
    LoyaltyError,
    PyValueError,
    "An input that the math core refuses, with `code` and `path`."
);

/// The one place where the core's errors become Python's.
fn refused(py: Python<'_>, error: Error) -> PyErr {
    let raised = LoyaltyError::new_err(error.to_string());
    let value = raised.value(py);
    let attributes = value
        .setattr("code", error.code.as_str())
        .and_then(|()| value.setattr("path", error.path));
    match attributes {
        Ok(()) => raised,
        Err(failure) => failure,
    }
}

/// The bytes of a JSON document that came as `bytes` or `str`.
fn json_bytes<'a>(document: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    if let Ok(bytes) = document.cast::<PyBytes>() {
        return Ok(bytes.as_bytes());
    }
    let Ok(text) = document.cast::<PyString>() else {
        return Err(PyTypeError::new_err("JSON must be bytes or str"));
    };
    text.to_str().map(str::as_bytes).map_err(|_| {
        let error = Error::new(ErrorCode::JsonInvalid, "the text holds lone surrogates");
        refused(document.py(), error)
    })
}

#[pyclass(frozen, module = "loyalty_native")]
struct Order {
    inner: Arc<earning::Order>,
}

#[pymethods]
impl Order {
    #[staticmethod]
    fn from_json(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Order> {
        match earning::Order::parse(json_bytes(data)?) {
            Ok(order) => Ok(Order {
                inner: Arc::new(order),
            }),
            Err(error) => Err(refused(py, error)),
        }
    }
}

#[pyclass(frozen, module = "loyalty_native")]
struct Program {
    inner: Arc<earning::Program>,
}

#[pymethods]
impl Program {
    #[new]
    fn new(py: Python<'_>, definition: &Bound<'_, PyAny>, version: i64) -> PyResult<Program> {
        match earning::Program::parse(json_bytes(definition)?, version) {
            Ok(program) => Ok(Program {
                inner: Arc::new(program),
            }),
            Err(error) => Err(refused(py, error)),
        }
    }

    #[getter]
    fn version(&self) -> i64 {
        self.inner.version()
    }

    fn evaluate(&self, py: Python<'_>, order: &Order) -> PyResult<Evaluation> {
        earning::evaluate(&self.inner, &order.inner, &mut Scratch::default())
            .map(|result| self.evaluation(&order.inner, result))
            .map_err(|error| refused(py, error))
    }

    fn evaluate_batch(
        &self,
        py: Python<'_>,
        orders: Vec<Bound<'_, Order>>,
    ) -> PyResult<Vec<Evaluation>> {
        self.batch(py, &orders, |program, order, scratch| {
            earning::evaluate(program, order, scratch).map(|result| self.evaluation(order, result))
        })
    }

    fn points_batch(&self, py: Python<'_>, orders: Vec<Bound<'_, Order>>) -> PyResult<Vec<i64>> {
        self.batch(py, &orders, |program, order, scratch| {
            earning::points(program, order, scratch).map(|points| points.0)
        })
    }
}

impl Program {
    fn evaluation(&self, order: &Arc<earning::Order>, result: earning::Evaluation) -> Evaluation {
        Evaluation {
            program: Arc::clone(&self.inner),
            order: Arc::clone(order),
            result,
        }
    }

    /// Runs `each` over the orders with the interpreter released; one scratch serves them all.
    fn batch<T: Send>(
        &self,
        py: Python<'_>,
        orders: &[Bound<'_, Order>],
        each: impl Fn(&earning::Program, &Arc<earning::Order>, &mut Scratch) -> Result<T, Error> + Sync,
    ) -> PyResult<Vec<T>> {
        let orders: Vec<&Arc<earning::Order>> =
            orders.iter().map(|order| &order.get().inner).collect();
        let results = py.detach(|| {
            let mut scratch = Scratch::default();
            let mut results = Vec::with_capacity(orders.len());
            for (index, order) in orders.iter().enumerate() {
                let result = each(&self.inner, order, &mut scratch);
                results.push(result.map_err(|error| error.inside_element(index).inside("orders"))?);
            }
            Ok(results)
        });
        results.map_err(|error| refused(py, error))
    }
}

#[pyclass(frozen, module = "loyalty_native")]
struct Evaluation {
    program: Arc<earning::Program>,
    order: Arc<earning::Order>,
    result: earning::Evaluation,
}

#[pymethods]
impl Evaluation {
    #[getter]
    fn points(&self) -> i64 {
        self.result.points.0
    }

    #[getter]
    fn reason(&self) -> Option<&'static str> {
        self.result.reason.map(|reason| reason.as_str())
    }

    #[getter]
    fn base_minor(&self) -> i64 {
        self.result.base_minor
    }

    #[getter]
    fn lines(&self) -> Vec<(&str, i64)> {
        let ids = earning::part_ids(&self.program, &self.order);
        ids.zip(self.result.parts.iter().copied()).collect()
    }

    fn trace<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        earning::trace(&self.program, &self.order, &mut Scratch::default())
            .map(|trace| PyBytes::new(py, &trace))
            .map_err(|error| refused(py, error))
    }
}

#[pyfunction]
fn trace_points(py: Python<'_>, trace: &Bound<'_, PyAny>) -> PyResult<i64> {
    earning::trace_points(json_bytes(trace)?)
        .map(|points| points.0)
        .map_err(|error| refused(py, error))
}

#[pyfunction]
fn money_parse(py: Python<'_>, amount: &str, currency: &str) -> PyResult<i64> {
    parse_currency(currency)
        .and_then(|currency| Money::parse(amount, currency))
        .map(|money| money.minor)
        .map_err(|error| refused(py, error))
}

#[pyfunction]
fn money_format(py: Python<'_>, minor: i64, currency: &str) -> PyResult<String> {
    parse_currency(currency)
        .map(|currency| Money::new(minor, currency).to_string())
        .map_err(|error| refused(py, error))
}

#[pyfunction]
fn currency_exponent(py: Python<'_>, currency: &str) -> PyResult<u32> {
    parse_currency(currency)
        .map(|currency| currency.exponent())
        .map_err(|error| refused(py, error))
}

#[pyfunction]
fn allocate(py: Python<'_>, total: i64, weights: Vec<i64>) -> PyResult<Vec<i64>> {
    let weights: Vec<i128> = weights.into_iter().map(i128::from).collect();
    loyalty_core::allocate(total, &weights).map_err(|error| refused(py, error))
}

#[pyfunction]
fn share_floor(py: Python<'_>, amount: i64, part: i64, whole: i64) -> PyResult<i64> {
    Rate::new(part, whole)
        .and_then(|share| share.apply(amount, Rounding::Floor))
        .map_err(|error| refused(py, error))
}

fn parse_currency(currency: &str) -> Result<Currency, Error> {
    Currency::parse(currency).map_err(|error| error.inside("currency"))
}

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::discount::{discount_evaluate, discount_query_variables, discount_trace_amount};
    #[pymodule_export]
    use super::{
        Evaluation, LoyaltyError, Order, Program, allocate, currency_exponent, money_format,
        money_parse, share_floor, trace_points,
    };
}
