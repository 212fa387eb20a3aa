//! The method `batch`, which runs several calls in one request.

use crm_chat_domain::{Input, Store};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::references::resolve;
use super::{Context, Method, MethodResult, Output};
use crate::error::ApiError;
use crate::params::{Param, ParamMap, parse_form, percent_decode};
use crate::route::method_name;
use crate::telemetry::{CallStatus, RequestLog, Subject};
use crate::time::{CallClock, Time};

/// The maximum number of commands in a batch.
const MAX_COMMANDS: usize = 50;

/// The maximum length of all command ids in a batch together, in bytes. Ids are the only part of a
/// request that the response repeats, up to twice and with escapes, and the response may stay in
/// memory for a long time until its peer reads it.
const MAX_ID_BYTES: usize = 16 << 10;

/// The error returned for a batch, or for one of its commands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("`cmd` must be a map or a list of commands")]
    InvalidCommands,
    #[error("the ids of the commands in `cmd` are longer than {0} bytes together")]
    IdsTooLong(usize),
    #[error("a command must be a string such as `method?name=value`")]
    InvalidCommand,
    #[error("a batch must not contain more than {0} commands")]
    TooManyCommands(usize),
    #[error("a batch must not contain a batch")]
    Nested,
    #[error("the batch timed out before this command started: retry the command")]
    NotReached,
}

/// The output of a batch. Each command has an entry in `result` or in `result_error`, unless an
/// earlier error stopped the batch.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct BatchOutput {
    result: Section<Json>,
    result_error: Section<ApiError>,
    /// Always empty: no method returns a list in pages.
    result_total: Section<()>,
    /// Always empty, for the same reason.
    result_next: Section<()>,
    result_time: Section<Time>,
}

/// Entries by the ids of their commands. Serialized as PHP does: as a list if the ids are 0, 1, …
/// or if there are no entries, otherwise as a map.
#[derive(Debug)]
struct Section<T>(Vec<(String, T)>);

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for Section<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = self.0.iter().enumerate();
        if entries.all(|(index, (id, _))| *id == index.to_string()) {
            return serializer.collect_seq(self.0.iter().map(|(_, value)| value));
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, value) in &self.0 {
            map.serialize_entry(id, value)?;
        }
        map.end()
    }
}

/// Runs the commands of a batch in sequence.
pub(super) async fn run<S: Store + 'static>(
    context: &Context<'_, S>,
    params: &ParamMap,
) -> MethodResult {
    let none = ParamMap::default();
    let commands = match params.get("cmd") {
        Some(Param::Map(commands)) => commands,
        Some(Param::Scalar(input)) if !input.is_absent() => {
            return Err(BatchError::InvalidCommands.into());
        }
        _ => &none,
    };
    if commands.iter().map(|(id, _)| id.len()).sum::<usize>() > MAX_ID_BYTES {
        return Err(BatchError::IdsTooLong(MAX_ID_BYTES).into());
    }
    let halt = !params.input("halt").is_absent();

    let mut output = BatchOutput::default();
    for (index, (id, command)) in commands.iter().enumerate() {
        // Commands that never wait would otherwise occupy this thread for the whole batch, and
        // other requests with it.
        yield_now().await;
        let clock = CallClock::start();
        // Each command is logged and counted like a request of its own.
        let mut log = RequestLog::new(context.telemetry, clock, context.origin.clone());
        let result = if index >= MAX_COMMANDS {
            Err(BatchError::TooManyCommands(MAX_COMMANDS).into())
        } else if Instant::now() >= context.batch_deadline {
            Err(BatchError::NotReached.into())
        } else {
            let executing = execute(context, command, &output.result.0, &mut log);
            let executed = timeout_at(context.batch_deadline, executing).await;
            executed.unwrap_or(Err(ApiError::TimedOut))
        };
        log.finish(CallStatus::of(&result));
        match result {
            Ok(result) => {
                let time = clock.time(clock.elapsed());
                output.result_time.0.push((id.to_owned(), time));
                output.result.0.push((id.to_owned(), result));
            }
            Err(error) => {
                output.result_error.0.push((id.to_owned(), error));
                if halt {
                    break;
                }
            }
        }
    }
    Ok(Output::Batch(output))
}

/// Parses and runs one command. `results` holds the results of the commands before it.
async fn execute<S: Store + 'static>(
    context: &Context<'_, S>,
    command: &Param,
    results: &[(String, Json)],
    log: &mut RequestLog<'_>,
) -> Result<Json, ApiError> {
    let text = match command {
        Param::Scalar(Input::Absent) => Some(String::new()),
        _ => command.to_text(),
    };
    let text = text.ok_or(BatchError::InvalidCommand)?;
    let (name, query) = text.split_once('?').unwrap_or((&text, ""));
    let method = find::<S>(name)?;
    log.method = method.name;
    call(context, method, query, results, &mut log.subject).await
}

/// Finds the method of a command. Its name is normalized like the last segment of a path.
fn find<S: Store + 'static>(name: &str) -> Result<&'static Method<S>, ApiError> {
    let name = percent_decode(name).ok_or(ApiError::MethodNotFound)?;
    Method::find(&method_name(name.trim_matches('/')))
}

async fn call<S: Store + 'static>(
    context: &Context<'_, S>,
    method: &'static Method<S>,
    query: &str,
    results: &[(String, Json)],
    subject: &mut Subject,
) -> Result<Json, ApiError> {
    if method.name == "batch" {
        return Err(BatchError::Nested.into());
    }
    let mut params = parse_form(query, "command", context.limits)?;
    // References are resolved in parsed values. In the query, a result could smuggle in parameters.
    resolve(&mut params, results);
    // The credentials may have been revoked or may have expired since the batch started.
    let grant = context.caller.reauthenticate().await?;
    method.authorize(&grant)?;
    let context = Context { grant: &grant, ..*context };
    match method.run(&context, &params, subject).await? {
        Output::Json(json) => Ok(json),
        Output::Batch(_) => Err(BatchError::Nested.into()),
    }
}
