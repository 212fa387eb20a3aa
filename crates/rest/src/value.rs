//! Parameters as a tree.

use crm_chat_domain::{Input, Request};
use indexmap::IndexMap;

/// One parameter: a scalar, or an array that holds more of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(Input),
    Array(Array),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Input::Text(text.into()))
    }

    /// Returns what the rules distinguish of the value.
    pub(crate) fn to_input(&self) -> Input {
        match self {
            Self::Scalar(input) => input.clone(),
            Self::Array(array) if array.is_empty() => Input::Absent,
            Self::Array(_) => Input::Other,
        }
    }

    /// Returns the text that a scalar writes; a number counts as its digits.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Scalar(Input::Text(text)) => Some(text.clone()),
            Self::Scalar(Input::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }

    fn into_array(self) -> Array {
        match self {
            Self::Array(array) => array,
            Self::Scalar(_) => Array::default(),
        }
    }
}

/// A list or a map, which are one here as they are in PHP: keys in the order in which they came, a list's are `0`, `1`, …
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Array {
    entries: IndexMap<String, Value>,
    /// The key of the next value that is pushed.
    next: u64,
}

impl Array {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.entries.values_mut()
    }

    /// Sets a key. What stood there is gone, but its place in the order stays.
    pub(crate) fn insert(&mut self, key: String, value: Value) {
        if let Ok(number) = key.parse::<u64>() {
            self.next = self.next.max(number.saturating_add(1));
        }
        self.entries.insert(key, value);
    }

    /// Sets the key after the highest number so far.
    pub(crate) fn push(&mut self, value: Value) {
        self.insert(self.next.to_string(), value);
    }

    /// Sets the key at the end of a path of keys; an empty key pushes. A scalar in the way makes room.
    pub(crate) fn insert_at(&mut self, key: &str, path: &[&str], value: Value) {
        let value = match path.split_first() {
            None => value,
            Some((next, path)) => {
                let mut inner = self.entries.get_mut(key).map_or_else(Array::default, take);
                inner.insert_at(next, path, value);
                Value::Array(inner)
            }
        };
        if key.is_empty() {
            self.push(value);
        } else {
            self.insert(key.to_owned(), value);
        }
    }

    /// Takes over the entries of another, which win.
    pub(crate) fn extend(&mut self, other: Self) {
        for (key, value) in other.entries {
            self.insert(key, value);
        }
    }

    /// Returns the parameter with a name, as the rules take it.
    pub(crate) fn input(&self, name: &str) -> Input {
        self.get(name).map_or(Input::Absent, Value::to_input)
    }

    /// Returns whether these look like an object of JSON that was read as a form.
    pub(crate) fn look_like_json(&self) -> bool {
        let mut names = self.entries.keys();
        names.any(|name| name.trim_start().starts_with('{'))
    }

    /// Picks the parameters of a removal.
    pub(crate) fn to_request(&self) -> Request {
        Request {
            crm_entity_type: self.input("CRM_ENTITY_TYPE"),
            crm_entity: self.input("CRM_ENTITY"),
            user_id: self.input("USER_ID"),
            chat_id: self.input("CHAT_ID"),
            ..Request::default()
        }
    }
}

fn take(value: &mut Value) -> Array {
    std::mem::replace(value, Value::Scalar(Input::Absent)).into_array()
}
