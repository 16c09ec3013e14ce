//! What the customer's loyalty metafield says.

use super::grammar;
use crate::json::{self, Node, Object, list_of, short_text};
use crate::{Error, ErrorCode, Result};

/// Shopify hands a function `null` for a metafield beyond this many bytes, so longer ones are refused when they are written.
pub(crate) const METAFIELD_BYTES: usize = 10_000;
const VERSION: i64 = 1;
const NAME_BYTES: usize = 64;
const SEGMENTS: usize = 50;
const CODES: usize = 100;

/// Who stands at the checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Customer {
    /// Nobody we know, or somebody without a loyalty account.
    Guest,
    /// Somebody whose loyalty metafield cannot be read.
    Unreadable(Error),
    Member(Loyalty),
}

/// A member's standing, as the server wrote it after the last change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loyalty {
    pub tier: Option<String>,
    pub segments: Vec<String>,
    /// Points that can be spent; negative while a claw-back is not yet earned back.
    pub balance: i64,
    /// Reward codes the customer holds and has not used.
    pub codes: Vec<String>,
    pub reservation: Option<Reservation>,
}

/// Points set aside for one checkout; the cart has to carry the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub id: String,
    pub points: i64,
}

impl Customer {
    /// The customer behind the text of a loyalty metafield, and a guest where there is none.
    pub fn parse(metafield: Option<&str>) -> Customer {
        match metafield.map(Loyalty::parse) {
            None => Customer::Guest,
            Some(Ok(loyalty)) => Customer::Member(loyalty),
            Some(Err(error)) => Customer::Unreadable(error),
        }
    }

    pub(crate) fn member(&self) -> Option<&Loyalty> {
        match self {
            Customer::Member(loyalty) => Some(loyalty),
            _ => None,
        }
    }
}

impl Loyalty {
    /// Reads the metafield `$app:loyalty`: `version` must be 1, every known field must be well formed, unknown
    /// fields are passed over so that a newer server can write them.
    ///
    /// Errors: those of [`json::parse`], `FIELD_MISSING`, `FIELD_TYPE`, `VALUE_INVALID`, `VALUE_NEGATIVE`,
    /// `VALUE_TOO_LARGE`.
    pub fn parse(text: &str) -> Result<Loyalty> {
        let node = metafield_node(text)?;
        Loyalty::read(&node)
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Loyalty> {
        let object = node.object()?;
        check_version(object)?;
        let mut loyalty = Loyalty::default();
        each_field(object, |name, node| {
            match name {
                "tier" => loyalty.tier = Some(self::name(node)?),
                "segments" => loyalty.segments = list_of(node, SEGMENTS, self::name)?,
                "balance" => loyalty.balance = node.integer()?,
                "codes" => loyalty.codes = list_of(node, CODES, self::name)?,
                "reservation" => loyalty.reservation = Some(read_reservation(node)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(loyalty)
    }
}

fn name(node: &Node<'_>) -> Result<String> {
    Ok(short_text(node, NAME_BYTES)?.to_owned())
}

fn read_reservation(node: &Node<'_>) -> Result<Reservation> {
    let object = node.object()?;
    let points = |node: &Node<'_>| json::integer_between(node, 0, i64::MAX);
    Ok(Reservation {
        id: object
            .required("id", |node| short_text(node, NAME_BYTES))?
            .to_owned(),
        points: object.required("points", points)?,
    })
}

/// Hands every field of an object to `read`, which passes over those it does not know. `null` counts as left out.
/// One pass with one place for errors keeps the Wasm small. Errors: those of `read`, with the field in their path.
pub(crate) fn each_field<'a>(
    object: &Object<'a>,
    mut read: impl FnMut(&str, &Node<'a>) -> Result<()>,
) -> Result<()> {
    for (name, node) in object.fields() {
        if *node != Node::Null {
            read(name, node).map_err(|error| error.inside(name))?;
        }
    }
    Ok(())
}

/// Errors: `VALUE_TOO_LARGE`, `JSON_INVALID`.
pub(crate) fn metafield_node(text: &str) -> Result<Node<'_>> {
    if text.len() > METAFIELD_BYTES {
        let message = format!("must have at most {METAFIELD_BYTES} bytes");
        return Err(Error::new(ErrorCode::ValueTooLarge, message));
    }
    grammar::parse(text)
}

pub(crate) fn check_version(object: &Object<'_>) -> Result<()> {
    object.required("version", |node| match node.integer()? {
        VERSION => Ok(()),
        _ => Err(Error::new(ErrorCode::ValueInvalid, "must be 1")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_known_fields_and_passes_over_others() {
        let text = r#"{"version":1,"tier":"gold","segments":["champions"],"balance":1250,
            "codes":["LN-1"],"reservation":{"id":"r1","points":500,"made_by":"checkout"},"revision":7}"#;
        let loyalty = Loyalty::parse(text).unwrap();
        assert_eq!(loyalty.tier.as_deref(), Some("gold"));
        assert_eq!(loyalty.segments, ["champions"]);
        assert_eq!(loyalty.balance, 1250);
        assert_eq!(loyalty.codes, ["LN-1"]);
        let reservation = loyalty.reservation.unwrap();
        assert_eq!((reservation.id.as_str(), reservation.points), ("r1", 500));
        assert_eq!(Loyalty::parse(r#"{"version":1}"#), Ok(Loyalty::default()));
    }

    #[test]
    fn refuses_what_is_wrong_with_its_path() {
        let long = format!(
            r#"{{"version":1,"note":"{}"}}"#,
            "x".repeat(METAFIELD_BYTES)
        );
        use ErrorCode::{
            FieldMissing, FieldType, JsonInvalid, ValueInvalid, ValueNegative, ValueTooLarge,
        };
        for (text, code, path) in [
            ("", JsonInvalid, ""),
            ("[]", FieldType, ""),
            ("{}", FieldMissing, "version"),
            (r#"{"version":2}"#, ValueInvalid, "version"),
            (r#"{"version":1,"tier":""}"#, ValueInvalid, "tier"),
            (r#"{"version":1,"balance":"12"}"#, FieldType, "balance"),
            (r#"{"version":1,"balance":1.5}"#, FieldType, "balance"),
            (
                r#"{"version":1,"segments":["a",7]}"#,
                FieldType,
                "segments[1]",
            ),
            (
                r#"{"version":1,"reservation":{"id":"r","points":-1}}"#,
                ValueNegative,
                "reservation.points",
            ),
            (&long, ValueTooLarge, ""),
        ] {
            let error = Loyalty::parse(text).unwrap_err();
            assert_eq!((error.code, error.path.as_str()), (code, path), "{text}");
        }
        assert!(matches!(
            Customer::parse(Some("{")),
            Customer::Unreadable(_)
        ));
        assert_eq!(Customer::parse(None), Customer::Guest);
    }
}
