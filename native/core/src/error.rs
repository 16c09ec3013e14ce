//! The one error type: a stable code for programs, a path for the person who wrote the JSON, a sentence for both.

use std::fmt;

const FIELD_SHOWN_MAX: usize = 64;

pub type Result<T> = std::result::Result<T, Error>;

/// Why an input was refused. `as_str` gives the stable name that leaves the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The bytes are not one JSON document, nest too deep, or name a field twice.
    JsonInvalid,
    FieldMissing,
    FieldUnknown,
    /// The field holds another JSON type than it should, or a number that is no 64-bit integer.
    FieldType,
    /// A text that is none of the values the field allows.
    ValueInvalid,
    ValueNegative,
    ValueZero,
    /// A number, text or list beyond the documented limit.
    ValueTooLarge,
    IdDuplicate,
    /// A line id that the core keeps for the amounts of the order itself.
    IdReserved,
    CurrencyUnknown,
    /// Two amounts that meet in one operation are in different currencies.
    CurrencyMismatch,
    /// A text that is no plain decimal number.
    AmountInvalid,
    /// An amount with more decimals than its currency has.
    AmountPrecision,
    /// A multiplier that would take points away; earning has to rise with what is spent.
    MultiplierBelowOne,
    /// The program's denominators have no common multiple small enough to stay exact.
    FractionTooFine,
    /// A result that does not fit; never a wrapped number.
    Overflow,
    /// A trace whose numbers do not follow from each other.
    TraceInconsistent,
}

impl ErrorCode {
    pub const ALL: [ErrorCode; 18] = [
        ErrorCode::JsonInvalid,
        ErrorCode::FieldMissing,
        ErrorCode::FieldUnknown,
        ErrorCode::FieldType,
        ErrorCode::ValueInvalid,
        ErrorCode::ValueNegative,
        ErrorCode::ValueZero,
        ErrorCode::ValueTooLarge,
        ErrorCode::IdDuplicate,
        ErrorCode::IdReserved,
        ErrorCode::CurrencyUnknown,
        ErrorCode::CurrencyMismatch,
        ErrorCode::AmountInvalid,
        ErrorCode::AmountPrecision,
        ErrorCode::MultiplierBelowOne,
        ErrorCode::FractionTooFine,
        ErrorCode::Overflow,
        ErrorCode::TraceInconsistent,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorCode::JsonInvalid => "JSON_INVALID",
            ErrorCode::FieldMissing => "FIELD_MISSING",
            ErrorCode::FieldUnknown => "FIELD_UNKNOWN",
            ErrorCode::FieldType => "FIELD_TYPE",
            ErrorCode::ValueInvalid => "VALUE_INVALID",
            ErrorCode::ValueNegative => "VALUE_NEGATIVE",
            ErrorCode::ValueZero => "VALUE_ZERO",
            ErrorCode::ValueTooLarge => "VALUE_TOO_LARGE",
            ErrorCode::IdDuplicate => "ID_DUPLICATE",
            ErrorCode::IdReserved => "ID_RESERVED",
            ErrorCode::CurrencyUnknown => "CURRENCY_UNKNOWN",
            ErrorCode::CurrencyMismatch => "CURRENCY_MISMATCH",
            ErrorCode::AmountInvalid => "AMOUNT_INVALID",
            ErrorCode::AmountPrecision => "AMOUNT_PRECISION",
            ErrorCode::MultiplierBelowOne => "MULTIPLIER_BELOW_ONE",
            ErrorCode::FractionTooFine => "FRACTION_TOO_FINE",
            ErrorCode::Overflow => "OVERFLOW",
            ErrorCode::TraceInconsistent => "TRACE_INCONSISTENT",
        }
    }
}

/// An input that was refused. `path` leads to the field, as in `rules[0].rate.per`, and is empty
/// where the whole input is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: ErrorCode,
    pub path: String,
    pub message: String,
}

impl Error {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error {
            code,
            path: String::new(),
            message: message.into(),
        }
    }

    pub fn overflow() -> Error {
        Error::new(ErrorCode::Overflow, "the result does not fit into 64 bits")
    }

    /// The same error seen from one level further out: `field` is put before the path.
    pub fn inside(mut self, field: &str) -> Error {
        // A name can be the sender's own, of any length; its beginning is enough to find it.
        let field: String = field.chars().take(FIELD_SHOWN_MAX).collect();
        let joint = match self.path.as_str() {
            "" => "",
            path if path.starts_with('[') => "",
            _ => ".",
        };
        self.path = format!("{field}{joint}{}", self.path);
        self
    }

    /// The same error seen from the list that holds the refused element.
    pub fn inside_element(self, index: usize) -> Error {
        self.inside(&format!("[{index}]"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_grow_outwards() {
        let error = Error::new(ErrorCode::ValueZero, "must not be zero")
            .inside("per")
            .inside("rate")
            .inside_element(0)
            .inside("rules");
        assert_eq!(error.path, "rules[0].rate.per");
        assert_eq!(error.to_string(), "rules[0].rate.per: must not be zero");
        let long = Error::overflow().inside(&"ü".repeat(10_000));
        assert_eq!(long.path, "ü".repeat(FIELD_SHOWN_MAX));
    }
}
