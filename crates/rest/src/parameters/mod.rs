//! The parameters of a call: from the query string and the body, in whatever encoding, to one [`Array`].

mod body;
mod form;
mod json;
mod multipart;

pub(crate) use body::parse as parse_body;
pub(crate) use form::{parse as parse_form, percent_decode};

/// How much the parameters of one call may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How deep values may be nested: a scalar has the depth 0.
    pub(crate) depth: usize,
    /// How many values there may be, nested ones counted.
    pub(crate) count: usize,
}

/// Why parameters cannot be read. It is displayed as a description that repeats nothing of what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the parameters are nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("there are more than {0} parameters")]
    TooMany(usize),
    #[error("the {0} is not valid UTF-8")]
    NotUtf8(&'static str),
    #[error("the name of a parameter has brackets that do not pair, as `a[b][c]` does")]
    Brackets,
    #[error("the body is not valid JSON at line {line} column {column}")]
    Json { line: usize, column: usize },
    #[error("the body must be a JSON object")]
    NoObject,
    #[error("the body is not valid `multipart/form-data`")]
    Multipart,
    #[error(
        "the body's `Content-Type` must be `application/json`, `application/x-www-form-urlencoded` or \
         `multipart/form-data`, in UTF-8"
    )]
    ContentType,
    #[error("the body must not have a `Content-Encoding`")]
    ContentEncoding,
    #[error("the body did not arrive whole")]
    Incomplete,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("a request of HTTP/1.1 must have one header `Host`")]
    Host,
    #[error("the address and the headers are longer than {0} bytes")]
    HeadTooLong(usize),
    #[error("`cmd` must be a map or a list of commands")]
    Commands,
    #[error("the ids of the commands in `cmd` are longer than {0} bytes together")]
    CommandIds(usize),
    #[error("a command must be a string such as `method?name=value`")]
    Command,
}
