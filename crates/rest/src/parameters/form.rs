//! `application/x-www-form-urlencoded`, with PHP's brackets.

use super::{Bounds, Malformed};
use crate::value::{Array, Value};

/// Reads `name=value&…`. `part` names what is read, for the error.
pub(crate) fn parse(text: &str, part: &'static str, bounds: Bounds) -> Result<Array, Malformed> {
    let mut fields = Fields::new(bounds);
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        fields.add(&decode(name, part)?, decode(value, part)?)?;
    }
    Ok(fields.array)
}

/// Decodes `%XX` and `+`.
fn decode(text: &str, part: &'static str) -> Result<String, Malformed> {
    percent_decode(&text.replace('+', " ")).ok_or(Malformed::NotUtf8(part))
}

/// Decodes `%XX`; a `%` that two hexadecimal digits do not follow stands for itself. `None` if the result is no UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.ok().map(std::borrow::Cow::into_owned)
}

/// Puts fields, one after another, where their names say.
pub(super) struct Fields {
    bounds: Bounds,
    count: usize,
    pub(super) array: Array,
}

impl Fields {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, count: 0, array: Array::default() }
    }

    /// Adds a field. One without a name is counted, but goes nowhere.
    pub(super) fn add(&mut self, name: &str, value: String) -> Result<(), Malformed> {
        self.count += 1;
        if self.count > self.bounds.count {
            return Err(Malformed::TooMany(self.bounds.count));
        }
        if name.is_empty() {
            return Ok(());
        }
        let (base, path) = split(name, self.bounds.depth)?;
        self.array.insert_at(base, &path, Value::text(value));
        Ok(())
    }
}

/// Splits `a[b][]` into `a` and the keys `b` and the empty one.
fn split(name: &str, depth: usize) -> Result<(&str, Vec<&str>), Malformed> {
    let Some(start) = name.find('[') else {
        return Ok((name, Vec::new()));
    };
    let (base, brackets) = name.split_at(start);
    let keys = brackets
        .strip_prefix('[')
        .and_then(|keys| keys.strip_suffix(']'))
        .filter(|_| !base.is_empty())
        .ok_or(Malformed::Brackets)?;
    let mut path = Vec::new();
    for key in keys.split("][") {
        if key.contains(['[', ']']) {
            return Err(Malformed::Brackets);
        }
        if path.len() == depth {
            return Err(Malformed::TooDeep(depth));
        }
        path.push(key);
    }
    Ok((base, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 3, count: 5 };

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let array = parse(text, "query string", BOUNDS).map(Value::Array);
        let shown = match array {
            Ok(value) => show(&value),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(shown, expected, "{text}");
    }

    fn show(value: &Value) -> String {
        match value {
            Value::Scalar(_) => value.to_text().unwrap_or_else(|| "absent".to_owned()),
            Value::Array(array) => {
                let entries = array.iter().map(|(key, value)| format!("{key}:{}", show(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn brackets_nest_as_in_php() {
        check("a[b][0][c]=v", "{a:{b:{0:{c:v}}}}");
        check("a[]=x&a[]=y&a[7]=z&a[]=w", "{a:{0:x,1:y,7:z,8:w}}");
        check("a[][b]=x&a[][b]=y", "{a:{0:{b:x},1:{b:y}}}");
        check("a[x]=1&b=2&a[y]=3", "{a:{x:1,y:3},b:2}");
        check("a%5Bb%5D=v&a[c d]=w", "{a:{b:v,c d:w}}");
    }

    #[test]
    fn the_last_of_a_name_counts() {
        check("a=1&a=2", "{a:2}");
        check("a=1&a[b]=2", "{a:{b:2}}");
        check("a[b]=1&a=2", "{a:2}");
        check("a[b]=1&a[b]=2&a[c]=3", "{a:{b:2,c:3}}");
    }

    #[test]
    fn pairs_are_decoded() {
        check("", "{}");
        check("&&", "{}");
        check("=v", "{}");
        check("a", "{a:}");
        check("a=b=c", "{a:b=c}");
        check("a=x+y%20z%2B", "{a:x y z+}");
        check("a=100%&b=%zz", "{a:100%,b:%zz}");
        check("a]=1", "{a]:1}");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["a[", "a[b", "a[b]c", "a[[b]]", "a[b]]", "[a]=1", "a[b][", "a][", "a[b]c[d]"] {
            check(text, "Brackets");
        }
        check("a=%ff", "NotUtf8(\"query string\")");
        check("%ff=a", "NotUtf8(\"query string\")");
        check("a[1][2][3]=v", "{a:{1:{2:{3:v}}}}");
        check("a[1][2][3][4]=v", "TooDeep(3)");
        check("a&b&c&d&e", "{a:,b:,c:,d:,e:}");
        check("a&b&c&d&e&f", "TooMany(5)");
        check("a&a&a&a&a&a", "TooMany(5)");
    }
}
