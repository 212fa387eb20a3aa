//! `application/json`.

use std::fmt;

use crm_chat_domain::Input;
use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Bounds, Malformed};
use crate::value::{Array, Value};

/// The key under which `serde_json` hands over a number's text if any crate of the build switched its feature
/// `arbitrary_precision` on.
const NUMBER_TEXT: &str = "$serde_json::private::Number";

/// Reads an object. A list is taken for one, as PHP does, which writes an empty map as a list; and so is `null`.
pub(super) fn parse(body: &[u8], bounds: Bounds) -> Result<Array, Malformed> {
    let mut reading = Reading { bounds, left: bounds.count, exceeded: None };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = Tree {
        reading: &mut reading,
        // The object itself is no level of nesting.
        depth: bounds.depth + 1,
    }
    .deserialize(&mut json)
    .and_then(|value| json.end().map(|()| value));
    match value {
        Ok(Value::Array(array)) => Ok(array),
        Ok(Value::Scalar(Input::Absent)) => Ok(Array::default()),
        Ok(Value::Scalar(_)) => Err(Malformed::NoObject),
        Err(error) => Err(reading
            .exceeded
            .unwrap_or(Malformed::Json { line: error.line(), column: error.column() })),
    }
}

struct Reading {
    bounds: Bounds,
    /// How many more values there may be.
    left: usize,
    /// The bound at which reading stopped.
    exceeded: Option<Malformed>,
}

impl Reading {
    fn exceed<E: Error>(&mut self, bound: Malformed) -> E {
        self.exceeded = Some(bound);
        E::custom("over a bound")
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return Err(self.exceed(Malformed::TooMany(self.bounds.count))),
        }
        Ok(())
    }
}

/// Reads one value with at most `depth` levels.
struct Tree<'a> {
    reading: &'a mut Reading,
    depth: usize,
}

impl Tree<'_> {
    /// Returns what reads the values within this one.
    fn inner<E: Error>(&mut self) -> Result<usize, E> {
        let exceeded = Malformed::TooDeep(self.reading.bounds.depth);
        self.depth.checked_sub(1).ok_or_else(|| self.reading.exceed(exceeded))
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Scalar(Input::Absent))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let reading = self.reading;
        let mut array = Array::default();
        while let Some(value) = list.next_element_seed(Tree { reading, depth })? {
            reading.count()?;
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut array = Array::default();
        let mut depth = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == NUMBER_TEXT {
                let text: String = map.next_value()?;
                let number = MapDeserializer::new([(NUMBER_TEXT, text)].into_iter());
                return Input::deserialize(number).map(Value::Scalar);
            }
            let depth = *match &mut depth {
                Some(depth) => depth,
                none => none.insert(self.inner()?),
            };
            let reading = &mut *self.reading;
            let value = map.next_value_seed(Tree { reading, depth })?;
            self.reading.count()?;
            array.insert(key, value);
        }
        Ok(Value::Array(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 2, count: 4 };

    #[track_caller]
    fn input(json: &str, expected: &Input) {
        let body = format!(r#"{{"a": {json}}}"#);
        let array = parse(body.as_bytes(), BOUNDS).expect("it can be read");
        assert_eq!(array.input("a"), *expected, "{json}");
        let domain: Input = serde_json::from_str(json).expect("it can be read");
        assert_eq!(domain, *expected, "{json} as the domain reads it");
    }

    #[test]
    fn values_are_what_the_domain_reads() {
        for json in ["null", "false", "[]", "{}", "0.0", "-0", "0e9"] {
            input(json, &Input::Absent);
        }
        for json in
            ["true", "-1", "1.5", "12.0", "1e3", "[0]", "{\"b\": null}", "18446744073709551616"]
        {
            input(json, &Input::Other);
        }
        input("0", &Input::Number(0));
        input("18446744073709551615", &Input::Number(u64::MAX));
        input("\" 12\"", &Input::Text(" 12".to_owned()));
    }

    #[track_caller]
    fn refused(json: &[u8], expected: &Malformed) {
        let shown = String::from_utf8_lossy(json).into_owned();
        assert_eq!(parse(json, BOUNDS).as_ref(), Err(expected), "{shown}");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for json in
            [&b"{"[..], b"", b"{}{}", b"{\"a\":\"\xff\"}", b"{\"a\":\"\\ud800\"}", b"{'a':1}"]
        {
            let error = parse(json, BOUNDS);
            assert!(matches!(error, Err(Malformed::Json { .. })), "{error:?}");
        }
        for json in ["12", "\"a\"", "true"] {
            refused(json.as_bytes(), &Malformed::NoObject);
        }
        assert!(parse(br#"{"a":[[1]]}"#, BOUNDS).is_ok());
        refused(br#"{"a":[[[]]]}"#, &Malformed::TooDeep(2));
        refused(br#"{"a":{"b":{"c":{"d":1}}}}"#, &Malformed::TooDeep(2));
        assert!(parse(br#"{"a":[1,2,3]}"#, BOUNDS).is_ok());
        refused(br#"{"a":[1,2,3,4]}"#, &Malformed::TooMany(4));
        let deep = "[".repeat(100_000);
        refused(deep.as_bytes(), &Malformed::TooDeep(2));
    }

    #[test]
    fn a_list_or_null_is_taken_for_an_object() {
        assert!(parse(b"[]", BOUNDS).is_ok_and(|array| array.is_empty()));
        assert!(parse(b"null", BOUNDS).is_ok_and(|array| array.is_empty()));
        assert!(parse(b"[5]", BOUNDS).is_ok_and(|array| array.input("0") == Input::Number(5)));
    }
}
