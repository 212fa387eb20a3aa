//! `batch`: several calls in one.

use crm_chat_domain::{Input, Store};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::references::resolve;
use super::{Answer, Context, Method, Output};
use crate::address::method_name;
use crate::failure::Failure;
use crate::parameters::{Malformed, parse_form, percent_decode};
use crate::telemetry::{CallStatus, RequestLog, Subject};
use crate::time::{Clock, Time};
use crate::value::{Array, Value};

/// How many commands a batch may hold.
const MAX_COMMANDS: usize = 50;

/// The number of bytes that the ids of a batch may have together. They are the only part of a
/// request that an answer repeats, up to twice and with escapes, and an answer may wait long for its
/// peer to read it.
const MAX_ID_BYTES: usize = 16 << 10;

/// What became of the commands of a batch: each is in `result` or in `result_error`, or was not
/// reached.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Batch {
    result: Section<Json>,
    result_error: Section<Failure>,
    /// Only a method that lists something would have a total.
    result_total: Section<()>,
    /// And a next page.
    result_next: Section<()>,
    result_time: Section<Time>,
}

/// Entries by the ids of their commands. It is written as a map, or as a list if the ids are 0, 1,
/// … or there is none.
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

pub(super) async fn run<S: Store + 'static>(
    context: &Context<'_, S>,
    parameters: &Array,
) -> Answer {
    let none = Array::default();
    let commands = match parameters.get("cmd") {
        Some(Value::Array(commands)) => commands,
        Some(Value::Scalar(input)) if !input.is_absent() => return Err(Malformed::Commands.into()),
        _ => &none,
    };
    if commands.iter().map(|(id, _)| id.len()).sum::<usize>() > MAX_ID_BYTES {
        return Err(Malformed::CommandIds(MAX_ID_BYTES).into());
    }
    let halt = !parameters.input("halt").is_absent();

    let mut batch = Batch::default();
    for (index, (id, command)) in commands.iter().enumerate() {
        // A batch of commands that do not wait for anything must not keep its thread from other
        // calls.
        yield_now().await;
        let clock = Clock::start();
        let mut log = RequestLog::new(context.telemetry, clock, context.origin.clone());
        let result = if index >= MAX_COMMANDS {
            Err(Failure::BatchTooLong(MAX_COMMANDS))
        } else if Instant::now() >= context.batch_deadline {
            Err(Failure::NotReached)
        } else {
            let executing = execute(context, command, &batch.result.0, &mut log);
            let executed = timeout_at(context.batch_deadline, executing).await;
            executed.unwrap_or(Err(Failure::TimedOut))
        };
        log.finish(CallStatus::of(&result));
        match result {
            Ok(result) => {
                let time = clock.time(clock.elapsed());
                batch.result_time.0.push((id.to_owned(), time));
                batch.result.0.push((id.to_owned(), result));
            }
            Err(failure) => {
                batch.result_error.0.push((id.to_owned(), failure));
                if halt {
                    break;
                }
            }
        }
    }
    Ok(Output::Batch(batch))
}

/// Runs one command, and records which method it names.
async fn execute<S: Store + 'static>(
    context: &Context<'_, S>,
    command: &Value,
    results: &[(String, Json)],
    log: &mut RequestLog<'_>,
) -> Result<Json, Failure> {
    let text = match command {
        Value::Scalar(Input::Absent) => Some(String::new()),
        _ => command.to_text(),
    };
    let text = text.ok_or(Malformed::Command)?;
    let (name, query) = text.split_once('?').unwrap_or((&text, ""));
    let method = find::<S>(name)?;
    log.method = method.name;
    call(context, method, query, results, &mut log.subject).await
}

/// Finds the method of a command, whose name is as untidy as the last part of a path.
fn find<S: Store + 'static>(name: &str) -> Result<&'static Method<S>, Failure> {
    let name = percent_decode(name).ok_or(Failure::MethodNotFound)?;
    Method::find(&method_name(name.trim_matches('/')))
}

async fn call<S: Store + 'static>(
    context: &Context<'_, S>,
    method: &'static Method<S>,
    query: &str,
    results: &[(String, Json)],
    subject: &mut Subject,
) -> Result<Json, Failure> {
    if method.name == "batch" {
        return Err(Failure::BatchInBatch);
    }
    let mut parameters = parse_form(query, "command", context.bounds)?;
    resolve(&mut parameters, results);
    // The credentials may have been revoked, or have expired, since the batch began.
    let grant = context.caller.verify().await?;
    method.admit(&grant)?;
    let context = Context { grant: &grant, ..*context };
    match method.run(&context, &parameters, subject).await? {
        Output::Json(json) => Ok(json),
        Output::Batch(_) => Err(Failure::BatchInBatch),
    }
}
