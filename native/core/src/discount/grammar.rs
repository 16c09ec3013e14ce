//! JSON's grammar, for metafields.
//!
//! Builds the same [`Node`] as [`crate::json::parse`] does through serde_json, which a test holds. serde_json is made
//! for any type and any number; here, where only texts and 64-bit integers are read, a quarter of its code suffices,
//! and code is what a function in Shopify's checkout has little room for.
//!
//! One difference stays: serde_json refuses a number beyond a double's range (`1e400`), which is grammatical JSON.
//! Here it is what every number is that is no 64-bit integer, [`Node::OtherNumber`], and no field takes one.

use crate::json::Node;
use crate::{Error, ErrorCode, Result};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// As deep as serde_json goes.
const DEPTH: u32 = 127;

/// Errors: `JSON_INVALID`, with the byte at which reading stopped.
pub(crate) fn parse(text: &str) -> Result<Node<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let parsed = Node::deserialize(&mut reader).and_then(|node| match reader.next_token() {
        None => Ok(node),
        Some(_) => Err(Refused("trailing characters".to_owned())),
    });
    parsed.map_err(|Refused(message)| {
        Error::new(
            ErrorCode::JsonInvalid,
            message + " at byte " + &reader.at.to_string(),
        )
    })
}

/// Why a text is no JSON document.
#[derive(Debug)]
struct Refused(String);

type Read<T> = std::result::Result<T, Refused>;

struct Reader<'de> {
    text: &'de str,
    /// The first byte not yet read; always between two characters.
    at: usize,
    depth: u32,
}

impl<'de> Reader<'de> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte after white space, which stays unread.
    fn next_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn refuse<T>(&self, message: &str) -> Read<T> {
        Err(Refused(message.to_owned()))
    }

    fn word(&mut self, word: &str) -> Read<()> {
        match self.bytes(self.at).starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(())
            }
            false => self.refuse("expected a value"),
        }
    }

    fn bytes(&self, from: usize) -> &'de [u8] {
        self.text.as_bytes().get(from..).unwrap_or_default()
    }

    fn skip_digits(&mut self) -> Read<()> {
        let bytes = self.bytes(self.at).iter();
        match bytes.take_while(|byte| byte.is_ascii_digit()).count() {
            0 => self.refuse("expected a digit"),
            digits => {
                self.at += digits;
                Ok(())
            }
        }
    }

    /// Reads a number; one that is no 64-bit integer is visited as a float of no particular value.
    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Read<V::Value> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.at;
        self.skip_digits()?;
        if leading_zero && self.at > digits + 1 {
            return self.refuse("a number must not begin with zero");
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.skip_digits()?;
            integer = false;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.skip_digits()?;
            integer = false;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        match signed(text).filter(|_| integer) {
            Some(number) => visitor.visit_i64(number),
            None => visitor.visit_f64(0.0),
        }
    }

    /// Reads a string, borrowed where it holds no escapes.
    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Read<V::Value> {
        self.at += 1;
        let mut unescaped = String::new();
        loop {
            let start = self.at;
            self.at += plain_bytes(self.bytes(start));
            let run = self.text.get(start..self.at).unwrap_or_default();
            let stop = self.peek();
            self.at += usize::from(stop.is_some());
            match stop {
                Some(b'"') if unescaped.is_empty() => return visitor.visit_borrowed_str(run),
                Some(b'"') => return visitor.visit_str(&(unescaped + run)),
                Some(b'\\') => {
                    unescaped.push_str(run);
                    unescaped.push(self.escape()?);
                }
                Some(_) => return self.refuse("control character in a string"),
                None => return self.refuse("unfinished string"),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let escaped = self.peek();
        self.at += usize::from(escaped.is_some_and(|byte| byte.is_ascii()));
        Ok(match escaped {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return self.refuse("unknown escape"),
        })
    }

    /// Reads what follows `\u`; characters beyond the basic plane come as two escapes.
    fn unicode_escape(&mut self) -> Read<char> {
        let mut code = self.four_hex_digits()?;
        if (0xD800..0xDC00).contains(&code) {
            self.word("\\u")?;
            let low = self.four_hex_digits()?;
            if !(0xDC00..0xE000).contains(&low) {
                return self.refuse("lone surrogate");
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        char::from_u32(code).ok_or(Refused("lone surrogate".to_owned()))
    }

    fn four_hex_digits(&mut self) -> Read<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return self.refuse("expected four hexadecimal digits");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Steps to the next element: past the comma before it, or, at the end, past `end`. Returns whether there is one.
    fn next_element(&mut self, first: &mut bool, end: u8) -> Read<bool> {
        let token = self.next_token();
        if token == Some(end) {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::replace(first, false) {
            if token != Some(b',') {
                return self.refuse("expected a comma or the end");
            }
            self.at += 1;
        }
        Ok(true)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth == DEPTH {
            return self.refuse("nested too deep");
        }
        self.at += 1;
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }
}

/// How many bytes of a string stand for themselves, up to its end, an escape or a control character.
fn plain_bytes(bytes: &[u8]) -> usize {
    let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
    bytes.iter().position(special).unwrap_or(bytes.len())
}

/// An integer that serde_json takes for one; it reads `-0` as a float.
fn signed(text: &str) -> Option<i64> {
    text.parse()
        .ok()
        .filter(|number| *number != 0 || text == "0")
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.next_token() {
            Some(b'"') => self.string(visitor),
            Some(b'{') => self.nested(|reader| {
                visitor.visit_map(Elements {
                    reader,
                    first: true,
                })
            }),
            Some(b'[') => self.nested(|reader| {
                visitor.visit_seq(Elements {
                    reader,
                    first: true,
                })
            }),
            Some(b'-' | b'0'..=b'9') => self.number(visitor),
            Some(b't') => self.word("true").and_then(|()| visitor.visit_bool(true)),
            Some(b'f') => self.word("false").and_then(|()| visitor.visit_bool(false)),
            _ => self.word("null").and_then(|()| visitor.visit_unit()),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The elements of a list or the fields of an object, up to its end.
struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        match self.reader.next_element(&mut self.first, b']')? {
            true => seed.deserialize(&mut *self.reader).map(Some),
            false => Ok(None),
        }
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        match self.reader.next_element(&mut self.first, b'}')? {
            true if self.reader.next_token() != Some(b'"') => {
                self.reader.refuse("expected a field name")
            }
            true => seed.deserialize(&mut *self.reader).map(Some),
            false => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        if self.reader.next_token() != Some(b':') {
            return self.reader.refuse("expected a colon");
        }
        self.reader.at += 1;
        seed.deserialize(&mut *self.reader)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refused(message.to_string())
    }
}

#[cfg(test)]
mod tests;
