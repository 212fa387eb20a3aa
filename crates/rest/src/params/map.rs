//! The tree of parameters.

use crm_chat_domain::{Input, Request};
use indexmap::IndexMap;

/// A parameter: a scalar, or a map of further parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Param {
    Scalar(Input),
    Map(ParamMap),
}

impl Param {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Input::Text(text.into()))
    }

    /// Converts the parameter to the form that the rules read. They do not look into maps.
    pub(crate) fn to_input(&self) -> Input {
        match self {
            Self::Scalar(input) => input.clone(),
            Self::Map(map) if map.is_empty() => Input::Absent,
            Self::Map(_) => Input::Other,
        }
    }

    /// Returns a text, or a number as its digits.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Scalar(Input::Text(text)) => Some(text.clone()),
            Self::Scalar(Input::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// A map or a list of parameters. As in PHP, a list is a map with the keys `0`, `1`, …; keys keep
/// the order of their insertion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ParamMap {
    entries: IndexMap<String, Param>,
    /// The key of the next parameter that is pushed.
    next: u64,
}

impl ParamMap {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Param> {
        self.entries.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        self.entries.values_mut()
    }

    /// Sets the parameter with a key. An existing key keeps its position.
    pub(crate) fn insert(&mut self, key: String, value: Param) {
        if let Ok(number) = key.parse::<u64>() {
            self.next = self.next.max(number.saturating_add(1));
        }
        self.entries.insert(key, value);
    }

    /// Adds a parameter under the number that follows the highest numeric key.
    pub(crate) fn push(&mut self, value: Param) {
        self.insert(self.next.to_string(), value);
    }

    /// Sets the parameter at the end of a path of keys: `key` and `path` are `a` and `["b", ""]`
    /// for `a[b][]`.
    pub(crate) fn insert_at(&mut self, key: &str, path: &[&str], value: Param) {
        let value = match path.split_first() {
            None => value,
            Some((next, path)) => {
                // Take the existing map out, so that the recursion can own it. It is put back below
                // under the same key, which keeps its position. As in PHP, a scalar that is in the
                // way of a deeper path is replaced.
                let mut inner = match self.entries.get_mut(key) {
                    Some(Param::Map(map)) => std::mem::take(map),
                    _ => Self::default(),
                };
                inner.insert_at(next, path, value);
                Param::Map(inner)
            }
        };
        // `a[]` appends to `a`. An empty key always adds an entry, so the lookup above has found
        // none for it.
        if key.is_empty() {
            self.push(value);
        } else {
            self.insert(key.to_owned(), value);
        }
    }

    /// Adds the entries of another map, which override existing ones.
    pub(crate) fn extend(&mut self, other: Self) {
        for (key, value) in other.entries {
            self.insert(key, value);
        }
    }

    /// Returns the parameter with a name in the form that the rules read.
    pub(crate) fn input(&self, name: &str) -> Input {
        self.get(name).map_or(Input::Absent, Param::to_input)
    }

    /// Returns `true` if the parameters look like a JSON object that was parsed as a form.
    pub(crate) fn look_like_json(&self) -> bool {
        let mut names = self.entries.keys();
        names.any(|name| name.trim_start().starts_with('{'))
    }

    /// Selects the parameters of a removal.
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
