//! One row's object, of which no key may be there twice: a parser that lets the last one win
//! would choose a label for whoever wrote two.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// An object's keys, as they are written, and the value of each.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) keys: Vec<String>,
    pub(super) values: Vec<Value>,
}

/// What stands where a row should.
#[derive(Debug)]
pub(super) enum Element {
    Object(Object),
    /// Something else, in words.
    Other(&'static str),
}

/// How the error about a key that is there twice begins.
pub(super) const TWICE: &str = "the key ";

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let mut object = Object::default();
        while let Some(key) = map.next_key::<String>()? {
            object.keys.push(key);
            object.values.push(map.next_value()?);
        }
        match repeated(&object.keys) {
            Some(key) => Err(A::Error::custom(format!("{TWICE}{key:?} is there twice"))),
            None => Ok(Element::Object(object)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Element::Other("a list"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Element, E> {
        Ok(Element::Other("a string"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Element, E> {
        Ok(Element::Other("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Element, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Element, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Element, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<Element, E> {
        Ok(Element::Other("null"))
    }
}

fn repeated(keys: &[String]) -> Option<&String> {
    // Few keys are the rule, and faster compared than hashed.
    if keys.len() <= 16 {
        let mut rest = keys;
        while let Some((key, others)) = rest.split_first() {
            if others.contains(key) {
                return Some(key);
            }
            rest = others;
        }
        return None;
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().find(|key| !seen.insert(key.as_str()))
}
