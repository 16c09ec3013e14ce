//! Names that are compared often: each carries a hash, so that most comparisons read no text.

use crate::json::{self, Object};
use crate::{Error, ErrorCode, Result};

const NAMES_MAX: usize = 10_000;
pub(super) const TEXT_MAX: usize = 255;

/// A name inside the texts of an order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Name {
    hash: u64,
    start: u32,
    end: u32,
}

/// Names of an order that stand one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    start: u32,
    end: u32,
    mask: u64,
}

/// All texts of an order in one piece of memory, and the names that point into it in another.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Texts {
    text: String,
    names: Vec<Name>,
}

impl Texts {
    /// The caller limits the document, so that positions fit into 32 bits.
    pub(super) fn add(&mut self, text: &str) -> Name {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Name {
            hash: hash(text),
            start,
            end: self.text.len() as u32,
        }
    }

    /// Begins a run; [`Texts::add_to`] makes it longer while no other run is begun.
    pub(super) fn run(&self) -> Run {
        let start = self.names.len() as u32;
        Run {
            start,
            end: start,
            mask: 0,
        }
    }

    pub(super) fn add_to(&mut self, run: &mut Run, text: &str) {
        let name = self.add(text);
        self.names.push(name);
        run.end += 1;
        run.mask |= bit(name.hash);
    }

    pub(super) fn get(&self, name: Name) -> &str {
        &self.text[name.start as usize..name.end as usize]
    }
}

/// A program's names, in the order of their hashes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Names {
    hashed: Vec<(u64, Box<str>)>,
    mask: u64,
}

impl Names {
    pub(super) fn read(object: &Object<'_>, field: &str) -> Result<Names> {
        let names = object.optional(field, |node| {
            json::list_of(node, NAMES_MAX, |name| {
                Ok(Box::from(json::short_text(name, TEXT_MAX)?))
            })
        })?;
        Ok(Names::of(names.unwrap_or_default()))
    }

    /// An absent list asks for nothing. An empty one could be meant either way, so it is refused.
    pub(super) fn read_filled(object: &Object<'_>, field: &str) -> Result<Names> {
        let names = Names::read(object, field)?;
        if names.is_empty() && object.optional(field, |_| Ok(()))?.is_some() {
            return Err(must_not_be_empty().inside(field));
        }
        Ok(names)
    }

    fn of(names: Vec<Box<str>>) -> Names {
        let mut hashed: Vec<_> = names.into_iter().map(|name| (hash(&name), name)).collect();
        hashed.sort_unstable();
        let mask = hashed.iter().fold(0, |mask, (hash, _)| mask | bit(*hash));
        Names { hashed, mask }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashed.is_empty()
    }

    pub(super) fn contain_any(&self, texts: &Texts, run: Run) -> bool {
        // Mostly nothing is in common, and then mostly no bit is either.
        if self.mask & run.mask == 0 {
            return false;
        }
        let names = &texts.names[run.start as usize..run.end as usize];
        names.iter().any(|name| self.contain(texts, *name))
    }

    fn contain(&self, texts: &Texts, name: Name) -> bool {
        let first = self.hashed.partition_point(|(hash, _)| *hash < name.hash);
        // Different names may share a hash, so the text has the last word.
        let mut alike = self.hashed[first..]
            .iter()
            .take_while(|(hash, _)| *hash == name.hash);
        alike.any(|(_, text)| text.as_ref() == texts.get(name))
    }
}

pub(super) fn must_not_be_empty() -> Error {
    Error::new(
        ErrorCode::ValueInvalid,
        "must not be empty; leave it out instead",
    )
}

/// One bit of 64 for a hash, by its last six bits.
fn bit(hash: u64) -> u64 {
    1 << (hash & 63)
}

/// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), which is short and good enough for names.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_fnv_1a() {
        // Published test vectors.
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn names_are_found_by_their_text() {
        let mut texts = Texts::default();
        let mut metals = texts.run();
        texts.add_to(&mut metals, "silver");
        texts.add_to(&mut metals, "gold");
        let nothing = texts.run();
        let names = |names: &[&str]| Names::of(names.iter().map(|name| Box::from(*name)).collect());
        assert!(names(&["gold", "bronze"]).contain_any(&texts, metals));
        assert!(!names(&["bronze"]).contain_any(&texts, metals));
        assert!(!names(&["gold"]).contain_any(&texts, nothing));
        assert!(!names(&[]).contain_any(&texts, metals));
        // Names that share a hash with others are still different.
        let same_hash = Names {
            hashed: vec![(hash("gold"), "brass".into())],
            mask: u64::MAX,
        };
        assert!(!same_hash.contain_any(&texts, metals));
        assert_eq!(texts.get(texts.names[1]), "gold");
    }
}
