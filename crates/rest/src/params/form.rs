//! Parses `application/x-www-form-urlencoded` with nested parameters in PHP's bracket notation.

use super::{Param, ParamError, ParamLimits, ParamMap};

/// Parses `name=value&…`. `part` names the parsed part of the request in errors.
pub(crate) fn parse(
    text: &str,
    part: &'static str,
    limits: ParamLimits,
) -> Result<ParamMap, ParamError> {
    let mut builder = MapBuilder::new(limits);
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        builder.add(&decode(name, part)?, decode(value, part)?)?;
    }
    Ok(builder.params)
}

/// Decodes `%XX`, and `+` as a space.
fn decode(text: &str, part: &'static str) -> Result<String, ParamError> {
    percent_decode(&text.replace('+', " ")).ok_or(ParamError::NotUtf8(part))
}

/// Decodes `%XX`. A `%` without two hexadecimal digits after it is kept, as in PHP. Returns `None`
/// if the result is not valid UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.ok().map(std::borrow::Cow::into_owned)
}

/// Builds a map from fields whose names are paths.
pub(super) struct MapBuilder {
    limits: ParamLimits,
    count: usize,
    pub(super) params: ParamMap,
}

impl MapBuilder {
    pub(super) fn new(limits: ParamLimits) -> Self {
        Self { limits, count: 0, params: ParamMap::default() }
    }

    /// Adds a field. A field without a name is counted and ignored.
    pub(super) fn add(&mut self, name: &str, value: String) -> Result<(), ParamError> {
        self.count += 1;
        if self.count > self.limits.count {
            return Err(ParamError::TooMany(self.limits.count));
        }
        if name.is_empty() {
            return Ok(());
        }
        let (base, path) = split(name, self.limits.depth)?;
        self.params.insert_at(base, &path, Param::text(value));
        Ok(())
    }
}

/// Splits `a[b][]` into `a` and the keys `["b", ""]`.
fn split(name: &str, depth: usize) -> Result<(&str, Vec<&str>), ParamError> {
    let Some(start) = name.find('[') else {
        return Ok((name, Vec::new()));
    };
    let (base, brackets) = name.split_at(start);
    let keys = brackets
        .strip_prefix('[')
        .and_then(|keys| keys.strip_suffix(']'))
        .filter(|_| !base.is_empty())
        .ok_or(ParamError::Brackets)?;
    let mut path = Vec::new();
    for key in keys.split("][") {
        if key.contains(['[', ']']) {
            return Err(ParamError::Brackets);
        }
        if path.len() == depth {
            return Err(ParamError::TooDeep(depth));
        }
        path.push(key);
    }
    Ok((base, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ParamLimits = ParamLimits { depth: 3, count: 5 };

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let actual = match parse(text, "query string", LIMITS) {
            Ok(map) => show(&Param::Map(map)),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(actual, expected, "{text}");
    }

    fn show(param: &Param) -> String {
        match param {
            Param::Scalar(_) => param.to_text().unwrap_or_else(|| "absent".to_owned()),
            Param::Map(map) => {
                let entries = map.iter().map(|(key, param)| format!("{key}:{}", show(param)));
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
    fn last_value_of_a_name_wins() {
        check("a=1&a=2", "{a:2}");
        check("a=1&a[b]=2", "{a:{b:2}}");
        check("a[b]=1&a=2", "{a:2}");
        check("a[b]=1&a[b]=2&a[c]=3", "{a:{b:2,c:3}}");
    }

    #[test]
    fn names_and_values_are_decoded() {
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
    fn invalid_forms_are_rejected() {
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
