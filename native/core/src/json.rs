//! JSON in, with a path to whatever is wrong with it.
//!
//! serde_json checks the grammar; [`Node`] keeps the document so that each reader can name the field it
//! refuses. Numbers are 64-bit integers or they are refused: amounts travel as decimal text.

use crate::{Error, ErrorCode, Result};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

// Duplicate names are found by comparing each name with those before it, so the number has to be small.
const FIELDS_MAX: usize = 512;

/// A JSON document, borrowing its texts from the input where they hold no escapes.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number that is no 64-bit integer; no field of ours takes one.
    OtherNumber,
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Object<'a>),
}

/// The fields of a JSON object, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

/// Errors: `JSON_INVALID`.
pub fn parse(text: &[u8]) -> Result<Node<'_>> {
    serde_json::from_slice(text)
        .map_err(|error| Error::new(ErrorCode::JsonInvalid, error.to_string()))
}

impl<'a> Node<'a> {
    pub fn object(&self) -> Result<&Object<'a>> {
        match self {
            Node::Object(object) => Ok(object),
            _ => Err(wrong_type("an object")),
        }
    }

    pub fn list(&self) -> Result<&[Node<'a>]> {
        match self {
            Node::List(list) => Ok(list),
            _ => Err(wrong_type("a list")),
        }
    }

    pub fn text(&self) -> Result<&str> {
        match self {
            Node::Text(text) => Ok(text),
            _ => Err(wrong_type("a text")),
        }
    }

    pub fn integer(&self) -> Result<i64> {
        match self {
            Node::Integer(integer) => Ok(*integer),
            _ => Err(wrong_type("a whole number of at most 64 bits")),
        }
    }

    pub fn boolean(&self) -> Result<bool> {
        match self {
            Node::Bool(boolean) => Ok(*boolean),
            _ => Err(wrong_type("true or false")),
        }
    }
}

impl<'a> Object<'a> {
    /// Refuses every field that is not among `known`. Errors: `FIELD_UNKNOWN`.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        for (name, _) in &self.0 {
            if !known.contains(&name.as_ref()) {
                let error = Error::new(ErrorCode::FieldUnknown, "is not a known field");
                return Err(error.inside(name));
            }
        }
        Ok(())
    }

    pub fn fields(&self) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.0.iter().map(|(name, node)| (name.as_ref(), node))
    }

    /// Reads a field that must be there. Errors: `FIELD_MISSING`, and those of `read` with the path.
    pub fn required<'s, T>(
        &'s self,
        name: &str,
        read: impl FnOnce(&'s Node<'a>) -> Result<T>,
    ) -> Result<T> {
        match self.find(name) {
            Some(node) => read(node).map_err(|error| error.inside(name)),
            None => Err(Error::new(ErrorCode::FieldMissing, "is missing").inside(name)),
        }
    }

    /// Reads a field that may be left out; `null` counts as left out.
    pub fn optional<'s, T>(
        &'s self,
        name: &str,
        read: impl FnOnce(&'s Node<'a>) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.find(name) {
            None | Some(Node::Null) => Ok(None),
            Some(node) => read(node).map(Some).map_err(|error| error.inside(name)),
        }
    }

    fn find(&self, name: &str) -> Option<&Node<'a>> {
        self.0
            .iter()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, node)| node)
    }
}

/// Reads every element of a list of at most `max`. Errors: `FIELD_TYPE`, `VALUE_TOO_LARGE`, and those
/// of `read` with the index in their path.
pub fn list_of<'s, 'a, T>(
    node: &'s Node<'a>,
    max: usize,
    mut read: impl FnMut(&'s Node<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut list = Vec::new();
    each_of(node, max, |element| {
        list.push(read(element)?);
        Ok(())
    })?;
    Ok(list)
}

/// [`list_of`] for what keeps its results elsewhere.
pub fn each_of<'s, 'a>(
    node: &'s Node<'a>,
    max: usize,
    mut read: impl FnMut(&'s Node<'a>) -> Result<()>,
) -> Result<()> {
    let list = node.list()?;
    if list.len() > max {
        let message = format!("must have at most {max} elements");
        return Err(Error::new(ErrorCode::ValueTooLarge, message));
    }
    for (index, element) in list.iter().enumerate() {
        read(element).map_err(|error| error.inside_element(index))?;
    }
    Ok(())
}

/// Reads an integer from `min` to `max`, where `min` is 0 or more.
/// Errors: `FIELD_TYPE`, `VALUE_NEGATIVE`, `VALUE_ZERO`, `VALUE_TOO_LARGE`.
pub fn integer_between(node: &Node<'_>, min: i64, max: i64) -> Result<i64> {
    let integer = node.integer()?;
    let (code, message) = match integer {
        _ if integer < 0 => (ErrorCode::ValueNegative, "must not be negative".to_string()),
        _ if integer < min => (ErrorCode::ValueZero, format!("must be at least {min}")),
        _ if integer > max => (ErrorCode::ValueTooLarge, format!("must be at most {max}")),
        _ => return Ok(integer),
    };
    Err(Error::new(code, message))
}

/// Reads a text of 1 to `max` bytes. Errors: `FIELD_TYPE`, `VALUE_INVALID`, `VALUE_TOO_LARGE`.
pub fn short_text<'s>(node: &'s Node<'_>, max: usize) -> Result<&'s str> {
    let text = node.text()?;
    if text.is_empty() {
        return Err(Error::new(ErrorCode::ValueInvalid, "must not be empty"));
    }
    if text.len() > max {
        let message = format!("must have at most {max} bytes");
        return Err(Error::new(ErrorCode::ValueTooLarge, message));
    }
    Ok(text)
}

fn wrong_type(expected: &str) -> Error {
    Error::new(ErrorCode::FieldType, format!("must be {expected}"))
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

type Visited<'a, E> = std::result::Result<Node<'a>, E>;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Visited<'de, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Visited<'de, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Visited<'de, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Visited<'de, E> {
        Ok(i64::try_from(value).map_or(Node::OtherNumber, Node::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Visited<'de, E> {
        Ok(Node::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Visited<'de, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Visited<'de, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Visited<'de, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Visited<'de, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, Node<'de>)> = Vec::with_capacity(8);
        while let Some(key) = entries.next_key::<Node<'de>>()? {
            let Node::Text(name) = key else {
                return Err(A::Error::custom("a field name must be a text"));
            };
            if fields.len() == FIELDS_MAX {
                return Err(A::Error::custom("an object has too many fields"));
            }
            if fields.iter().any(|(earlier, _)| *earlier == name) {
                return Err(A::Error::custom(format_args!(
                    "the field {name} stands twice in one object"
                )));
            }
            fields.push((name, entries.next_value()?));
        }
        Ok(Node::Object(Object(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_types_and_paths() {
        let node = parse(br#"{"a":[{"b":1},{"b":"x\n"}],"c":null,"d":1.5,"e":true}"#).unwrap();
        let object = node.object().unwrap();
        assert!(object.required("e", Node::boolean).unwrap());
        assert_eq!(object.optional("c", Node::integer), Ok(None));
        assert_eq!(object.optional("absent", Node::integer), Ok(None));
        let error = object
            .required("a", |list| {
                list_of(list, 9, |item| item.object()?.required("b", Node::integer))
            })
            .unwrap_err();
        assert_eq!(
            (error.code, error.path.as_str()),
            (ErrorCode::FieldType, "a[1].b")
        );
        let error = object.required("d", Node::integer).unwrap_err();
        assert_eq!(error.code, ErrorCode::FieldType);
        let error = object.only(&["a", "c", "e"]).unwrap_err();
        assert_eq!(
            (error.code, error.path.as_str()),
            (ErrorCode::FieldUnknown, "d")
        );
        let error = object.required("z", Node::text).unwrap_err();
        assert_eq!(
            (error.code, error.path.as_str()),
            (ErrorCode::FieldMissing, "z")
        );
    }

    #[test]
    fn refuses_what_is_no_document() {
        let deep = "[".repeat(100_000);
        let wide = format!(
            "{{{}}}",
            (0..=FIELDS_MAX)
                .map(|i| format!("\"{i}\":0"))
                .collect::<Vec<_>>()
                .join(",")
        );
        for text in [
            "",
            "{",
            "{}x",
            r#"{"a":1,"a":2}"#,
            "{\"a\":\"\u{1}\"}",
            &deep,
            &wide,
        ] {
            assert_eq!(
                parse(text.as_bytes()).unwrap_err().code,
                ErrorCode::JsonInvalid
            );
        }
        assert_eq!(parse(b"\"\xff\"").unwrap_err().code, ErrorCode::JsonInvalid);
    }

    #[test]
    fn integers_beyond_64_bits_are_no_integers() {
        for text in ["9223372036854775808", "1e2", "-0.5", "1E400"] {
            let refused = parse(text.as_bytes()).and_then(|node| node.integer());
            assert!(refused.is_err(), "{text}");
        }
        assert_eq!(
            parse(b"-9223372036854775808").unwrap().integer(),
            Ok(i64::MIN)
        );
    }
}
