//! Parses `application/json`.

use std::fmt;

use crm_chat_domain::Input;
use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Param, ParamError, ParamLimits, ParamMap};

/// The key under which `serde_json` passes the text of a number if any crate of the build enables
/// its feature `arbitrary_precision`.
const NUMBER_TEXT: &str = "$serde_json::private::Number";

/// Parses an object. Lists and `null` are accepted too: PHP serializes an empty map as a list.
pub(super) fn parse(body: &[u8], limits: ParamLimits) -> Result<ParamMap, ParamError> {
    let mut tracker = LimitTracker { limits, left: limits.count, exceeded: None };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = ParamSeed {
        tracker: &mut tracker,
        // The object itself does not count as a level.
        depth: limits.depth + 1,
    }
    .deserialize(&mut json)
    .and_then(|value| json.end().map(|()| value));
    match value {
        Ok(Param::Map(params)) => Ok(params),
        Ok(Param::Scalar(Input::Absent)) => Ok(ParamMap::default()),
        Ok(Param::Scalar(_)) => Err(ParamError::NotAnObject),
        Err(error) => Err(tracker
            .exceeded
            .unwrap_or(ParamError::Json { line: error.line(), column: error.column() })),
    }
}

struct LimitTracker {
    limits: ParamLimits,
    /// The number of further values that are allowed.
    left: usize,
    /// The limit that was exceeded. Deserializer errors are opaque, so they cannot carry it.
    exceeded: Option<ParamError>,
}

impl LimitTracker {
    fn exceed<E: Error>(&mut self, error: ParamError) -> E {
        self.exceeded = Some(error);
        E::custom("a limit is exceeded")
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return Err(self.exceed(ParamError::TooMany(self.limits.count))),
        }
        Ok(())
    }
}

/// Deserializes one value with at most `depth` levels.
struct ParamSeed<'a> {
    tracker: &'a mut LimitTracker,
    depth: usize,
}

impl ParamSeed<'_> {
    /// Returns the number of levels that are left for the values within this one.
    fn inner<E: Error>(&mut self) -> Result<usize, E> {
        let exceeded = ParamError::TooDeep(self.tracker.limits.depth);
        self.depth.checked_sub(1).ok_or_else(|| self.tracker.exceed(exceeded))
    }
}

impl<'de> DeserializeSeed<'de> for ParamSeed<'_> {
    type Value = Param;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Param, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParamSeed<'_> {
    type Value = Param;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Param, E> {
        Ok(Param::Scalar(Input::Absent))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Param, A::Error> {
        let depth = self.inner()?;
        let tracker = self.tracker;
        let mut params = ParamMap::default();
        while let Some(value) = list.next_element_seed(ParamSeed { tracker, depth })? {
            tracker.count()?;
            params.push(value);
        }
        Ok(Param::Map(params))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Param, A::Error> {
        let mut params = ParamMap::default();
        let mut depth = None;
        while let Some(key) = map.next_key::<String>()? {
            // A number, which `Input` knows how to read. It is not a level of nesting.
            if key == NUMBER_TEXT {
                let text: String = map.next_value()?;
                let number = MapDeserializer::new([(NUMBER_TEXT, text)].into_iter());
                return Input::deserialize(number).map(Param::Scalar);
            }
            let depth = *match &mut depth {
                Some(depth) => depth,
                none => none.insert(self.inner()?),
            };
            let tracker = &mut *self.tracker;
            let value = map.next_value_seed(ParamSeed { tracker, depth })?;
            self.tracker.count()?;
            params.insert(key, value);
        }
        Ok(Param::Map(params))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ParamLimits = ParamLimits { depth: 2, count: 4 };

    #[track_caller]
    fn assert_input(json: &str, expected: &Input) {
        let body = format!(r#"{{"a": {json}}}"#);
        let params = parse(body.as_bytes(), LIMITS).expect("valid JSON");
        assert_eq!(params.input("a"), *expected, "{json}");
        let domain: Input = serde_json::from_str(json).expect("valid JSON");
        assert_eq!(domain, *expected, "{json} in the domain");
    }

    #[test]
    fn values_are_parsed_as_in_the_domain() {
        for json in ["null", "false", "[]", "{}", "0.0", "-0", "0e9"] {
            assert_input(json, &Input::Absent);
        }
        for json in
            ["true", "-1", "1.5", "12.0", "1e3", "[0]", "{\"b\": null}", "18446744073709551616"]
        {
            assert_input(json, &Input::Other);
        }
        assert_input("0", &Input::Number(0));
        assert_input("18446744073709551615", &Input::Number(u64::MAX));
        assert_input("\" 12\"", &Input::Text(" 12".to_owned()));
    }

    #[track_caller]
    fn assert_rejected(json: &[u8], expected: &ParamError) {
        let shown = String::from_utf8_lossy(json).into_owned();
        assert_eq!(parse(json, LIMITS).as_ref(), Err(expected), "{shown}");
    }

    #[test]
    fn invalid_json_is_rejected() {
        for json in
            [&b"{"[..], b"", b"{}{}", b"{\"a\":\"\xff\"}", b"{\"a\":\"\\ud800\"}", b"{'a':1}"]
        {
            let error = parse(json, LIMITS);
            assert!(matches!(error, Err(ParamError::Json { .. })), "{error:?}");
        }
        for json in ["12", "\"a\"", "true"] {
            assert_rejected(json.as_bytes(), &ParamError::NotAnObject);
        }
        assert!(parse(br#"{"a":[[1]]}"#, LIMITS).is_ok());
        assert_rejected(br#"{"a":[[[]]]}"#, &ParamError::TooDeep(2));
        assert_rejected(br#"{"a":{"b":{"c":{"d":1}}}}"#, &ParamError::TooDeep(2));
        assert!(parse(br#"{"a":[1,2,3]}"#, LIMITS).is_ok());
        assert_rejected(br#"{"a":[1,2,3,4]}"#, &ParamError::TooMany(4));
        let deep = "[".repeat(100_000);
        assert_rejected(deep.as_bytes(), &ParamError::TooDeep(2));
    }

    #[test]
    fn lists_and_null_are_accepted_as_objects() {
        assert!(parse(b"[]", LIMITS).is_ok_and(|params| params.is_empty()));
        assert!(parse(b"null", LIMITS).is_ok_and(|params| params.is_empty()));
        assert!(parse(b"[5]", LIMITS).is_ok_and(|params| params.input("0") == Input::Number(5)));
    }
}
