//! ISO 4217: which currencies exist and how many decimals each has.

use crate::{Error, ErrorCode, Result};
use std::fmt;

/// A currency of ISO 4217 with the number of decimals of its minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

// Sorted codes in one string per exponent: a binary search over three-byte steps needs no table of
// pointers, which keeps the Wasm modules small.
const NO_DECIMALS: &[u8] = b"BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF";
const THREE_DECIMALS: &[u8] = b"BHDIQDJODKWDLYDOMRTND";
const FOUR_DECIMALS: &[u8] = b"CLFUYW";
// ANG, BGN, CUC, HRK, SLL and ZWL were withdrawn between 2022 and 2026; orders stored before still name them.
const TWO_DECIMALS: &[u8] = b"AEDAFNALLAMDANGAOAARSAUDAWGAZNBAMBBDBDTBGNBMDBNDBOBBOVBRLBSDBTNBWPBYNBZD\
CADCDFCHECHFCHWCNYCOPCOUCRCCUCCUPCVECZKDKKDOPDZDEGPERNETBEURFJDFKPGBPGELGHSGIPGMDGTQGYDHKDHNLHRKHTGHUF\
IDRILSINRIRRJMDKESKGSKHRKPWKYDKZTLAKLBPLKRLRDLSLMADMDLMGAMKDMMKMNTMOPMRUMURMVRMWKMXNMXVMYRMZNNADNGNNIONOK\
NPRNZDPABPENPGKPHPPKRPLNQARRONRSDRUBSARSBDSCRSDGSEKSGDSHPSLESLLSOSSRDSSPSTNSVCSYPSZLTHBTJSTMTTOPTRYTTDTWD\
TZSUAHUSDUSNUYUUZSVEDVESWSTXADXCDXCGYERZARZMWZWGZWL";

impl Currency {
    /// The currency with this ISO 4217 code, in capitals.
    ///
    /// Errors: `CURRENCY_UNKNOWN`.
    pub fn parse(text: &str) -> Result<Currency> {
        if let Ok(code) = <[u8; 3]>::try_from(text.as_bytes()) {
            let tables = [
                (TWO_DECIMALS, 2),
                (NO_DECIMALS, 0),
                (THREE_DECIMALS, 3),
                (FOUR_DECIMALS, 4),
            ];
            for (codes, exponent) in tables {
                if codes.as_chunks::<3>().0.binary_search(&code).is_ok() {
                    return Ok(Currency { code, exponent });
                }
            }
        }
        Err(Error::new(
            ErrorCode::CurrencyUnknown,
            "must be a currency code of ISO 4217, such as USD",
        ))
    }

    pub fn code(&self) -> &str {
        // Only codes out of the tables above are ever stored, and those are ASCII.
        std::str::from_utf8(&self.code).unwrap_or("XXX")
    }

    /// Decimals of the minor unit: 2 for USD, 0 for JPY, 3 for KWD.
    pub fn exponent(&self) -> u32 {
        u32::from(self.exponent)
    }

    /// Minor units in one whole unit: 100 for USD, 1 for JPY, 1000 for KWD.
    pub fn minor_per_unit(&self) -> i64 {
        10_i64.pow(self.exponent())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_disjoint() {
        let mut seen = std::collections::BTreeSet::new();
        for table in [TWO_DECIMALS, NO_DECIMALS, THREE_DECIMALS, FOUR_DECIMALS] {
            let (codes, rest) = table.as_chunks::<3>();
            assert!(rest.is_empty());
            assert!(codes.is_sorted());
            for code in codes {
                assert!(seen.insert(*code), "{code:?} stands twice");
            }
        }
    }

    #[test]
    fn exponents_of_iso_4217() {
        for (code, exponent) in [
            ("USD", 2),
            ("EUR", 2),
            ("JPY", 0),
            ("KRW", 0),
            ("ISK", 0),
            ("KWD", 3),
            ("TND", 3),
            ("CLF", 4),
            ("XCG", 2),
            ("ZWG", 2),
        ] {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(currency.exponent(), exponent, "{code}");
            assert_eq!(currency.code(), code);
        }
    }

    #[test]
    fn unknown_codes_are_refused() {
        for code in ["", "US", "usd", "USDX", "XXX", "ÄB", "SDA", "Bit"] {
            assert_eq!(
                Currency::parse(code).unwrap_err().code,
                ErrorCode::CurrencyUnknown,
                "{code}"
            );
        }
    }
}
