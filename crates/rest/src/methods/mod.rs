//! The methods served, each an entry of one table.

mod batch;
mod references;
pub(crate) mod schema;

use std::future::{Future, ready};
use std::pin::Pin;

use crm_chat_domain::Store;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::authentication::{Caller, is_active, remove_if_active};
use crate::failure::Failure;
use crate::parameters::Bounds;
use crate::readiness::Readiness;
use crate::telemetry::{Origin, Subject, Telemetry};
use crate::time;
use crate::value::Array;
use crm_chat_credentials::Grant;

pub(crate) use batch::Batch;

/// The scope that removals need.
const SCOPE: &str = "imopenlines";

/// Everything a method needs to handle one call.
pub(crate) struct Context<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) caller: &'a dyn Caller,
    pub(crate) grant: &'a Grant,
    pub(crate) bounds: Bounds,
    /// The time at which a batch answers with what it has done so far.
    pub(crate) batch_deadline: Instant,
    pub(crate) readiness: &'a Readiness,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) origin: &'a Origin,
}

impl<S: Store> Context<'_, S> {
    /// Checks that the caller is active.
    async fn check_active(&self) -> Result<(), Failure> {
        let active = is_active(self.store, self.grant.user).await?;
        self.readiness.note_success();
        if active { Ok(()) } else { Err(Failure::CallerNotActive) }
    }
}

/// What a method answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Output {
    Json(Json),
    Batch(Batch),
}

type Answer = Result<Output, Failure>;
type Running<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// A method.
pub(crate) struct Method<S> {
    /// Its name, in lower case.
    pub(crate) name: &'static str,
    /// What it does, as a sentence without a full stop.
    pub(crate) summary: &'static str,
    /// The scope that the credentials must have.
    pub(crate) scope: Option<&'static str>,
    /// Describes its parameters: a map of JSON schemas.
    pub(crate) parameters: fn() -> Json,
    /// Describes its result: a JSON schema.
    pub(crate) result: fn() -> Json,
    activity: Activity,
    run: for<'a> fn(&'a Context<'a, S>, &'a Array, &'a mut Subject) -> Running<'a>,
}

/// The point at which the store is asked whether the caller is active.
#[derive(Clone, Copy)]
enum Activity {
    /// Before the method runs.
    First,
    /// By the method, in its own transaction.
    InTransaction,
}

impl<S: Store + 'static> Method<S> {
    /// The table.
    pub(crate) const ALL: &'static [Self] = &[
        Self {
            name: "imopenlines.crm.chat.user.delete",
            summary: "Removes a user from a chat of a CRM entity",
            scope: Some(SCOPE),
            parameters: schema::removal,
            result: schema::chat,
            activity: Activity::InTransaction,
            run: |context, parameters, subject| Box::pin(delete(context, parameters, subject)),
        },
        Self {
            name: "batch",
            summary: "Calls up to 50 methods, one after another",
            scope: None,
            parameters: schema::commands,
            result: schema::batch,
            activity: Activity::First,
            run: |context, parameters, _| Box::pin(batch::run(context, parameters)),
        },
        Self {
            name: "server.time",
            summary: "Tells the time",
            scope: None,
            parameters: schema::none,
            result: schema::date,
            activity: Activity::First,
            run: |_, _, _| at_once(json!(time::now())),
        },
        Self {
            name: "scope",
            summary: "Lists the scopes of the credentials, or with `full` all there are",
            scope: None,
            parameters: schema::full,
            result: schema::names,
            activity: Activity::First,
            run: |context, parameters, _| at_once(scopes(context, parameters)),
        },
        Self {
            name: "methods",
            summary: "Lists the methods",
            scope: None,
            parameters: schema::none,
            result: schema::names,
            activity: Activity::First,
            run: |_, _, _| at_once(Self::ALL.iter().map(|method| method.name).collect()),
        },
        Self {
            name: "method.get",
            summary: "Tells whether the method `name` exists and may be called by the credentials",
            scope: None,
            parameters: schema::name,
            result: schema::availability,
            activity: Activity::First,
            run: |context, parameters, _| at_once(about::<S>(context, parameters)),
        },
        Self {
            name: "profile",
            summary: "Tells who calls",
            scope: None,
            parameters: schema::none,
            result: schema::profile,
            activity: Activity::First,
            run: |context, _, _| {
                at_once(json!({"ID": context.grant.user.to_string(), "ACTIVE": true}))
            },
        },
        Self {
            name: "app.info",
            summary: "Tells what serves the methods",
            scope: None,
            parameters: schema::none,
            result: schema::application,
            activity: Activity::First,
            run: |context, _, _| at_once(application(context)),
        },
    ];

    /// Finds a method by its name in lower case.
    pub(crate) fn find(name: &str) -> Result<&'static Self, Failure> {
        let found = Self::ALL.iter().find(|method| method.name == name);
        found.ok_or(Failure::MethodNotFound)
    }

    /// Checks the scope.
    pub(crate) fn admit(&self, grant: &Grant) -> Result<(), Failure> {
        match self.scope {
            Some(scope) if !grant.scopes.contains(scope) => Err(Failure::InsufficientScope(scope)),
            _ => Ok(()),
        }
    }

    /// Runs the method for a caller who was admitted and is active. Records what it is about.
    pub(crate) async fn run(
        &self,
        context: &Context<'_, S>,
        parameters: &Array,
        subject: &mut Subject,
    ) -> Answer {
        if let Activity::First = self.activity {
            context.check_active().await?;
        }
        (self.run)(context, parameters, subject).await
    }
}

fn at_once<'a>(json: Json) -> Running<'a> {
    Box::pin(ready(Ok(Output::Json(json))))
}

async fn delete<S: Store>(
    context: &Context<'_, S>,
    parameters: &Array,
    subject: &mut Subject,
) -> Answer {
    let removal = match parameters.to_request().parse() {
        Ok(removal) => removal,
        Err(refusal) => {
            // There will be no transaction to ask in, and a caller who is not active learns nothing
            // else.
            context.check_active().await?;
            return Err(if parameters.look_like_json() {
                Failure::JsonAsForm(refusal)
            } else {
                refusal.into()
            });
        }
    };
    subject.asked(&removal);
    let answer = remove_if_active(context.store, context.grant.user, &removal).await?;
    context.readiness.note_success();
    let outcome = answer.ok_or(Failure::CallerNotActive)??;
    subject.found(&outcome);
    Ok(Output::Json(json!(outcome.result())))
}

fn scopes<S>(context: &Context<'_, S>, parameters: &Array) -> Json {
    if parameters.input("full").is_absent() {
        context.grant.scopes.iter().collect()
    } else {
        json!([SCOPE])
    }
}

fn about<S: Store + 'static>(context: &Context<'_, S>, parameters: &Array) -> Json {
    let name = parameters.get("name").and_then(crate::value::Value::to_text);
    let method = Method::<S>::find(&name.unwrap_or_default().to_ascii_lowercase());
    let available = |method: &Method<S>| method.admit(context.grant).is_ok();
    json!({"isExisting": method.is_ok(), "isAvailable": method.is_ok_and(available)})
}

/// The fields are those that the original gives; the client libraries read some of them.
fn application<S>(context: &Context<'_, S>) -> Json {
    json!({
        "ID": 0,
        "CODE": "crm-chat",
        "VERSION": env!("CARGO_PKG_VERSION"),
        "STATUS": "L",
        "INSTALLED": true,
        "PAYMENT_EXPIRED": "N",
        "DAYS": null,
        "LANGUAGE_ID": "en",
        "LICENSE": "crm-chat",
        "SCOPE": context.grant.scopes.iter().collect::<Vec<_>>().join(","),
    })
}
