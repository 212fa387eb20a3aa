//! The table of methods.

mod batch;
mod references;
pub(crate) mod schema;

use std::future::{Future, ready};
use std::pin::Pin;

use crm_chat_credentials::Grant;
use crm_chat_domain::Store;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::authentication::{Reauthenticate, is_active, remove_if_active};
use crate::error::ApiError;
use crate::params::{Param, ParamLimits, ParamMap};
use crate::probes::Readiness;
use crate::telemetry::{Origin, Subject, Telemetry};
use crate::time;

pub(crate) use batch::{BatchError, BatchOutput};

/// The scope that removals require.
const SCOPE: &str = "imopenlines";

/// Everything a method needs to handle one call.
pub(crate) struct Context<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) caller: &'a dyn Reauthenticate,
    pub(crate) grant: &'a Grant,
    pub(crate) limits: ParamLimits,
    /// The time at which a batch stops and responds with the results so far.
    pub(crate) batch_deadline: Instant,
    pub(crate) readiness: &'a Readiness,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) origin: &'a Origin,
}

impl<S: Store> Context<'_, S> {
    async fn check_active(&self) -> Result<(), ApiError> {
        let active = is_active(self.store, self.grant.user).await?;
        self.readiness.record_success();
        if active { Ok(()) } else { Err(ApiError::CallerNotActive) }
    }
}

/// The output of a method.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Output {
    Json(Json),
    Batch(BatchOutput),
}

type MethodResult = Result<Output, ApiError>;
type MethodFuture<'a> = Pin<Box<dyn Future<Output = MethodResult> + Send + 'a>>;

/// A method of the API.
pub(crate) struct Method<S> {
    /// The name in lower case.
    pub(crate) name: &'static str,
    /// A sentence for the API description, without a full stop.
    pub(crate) summary: &'static str,
    /// The scope that the credentials must have.
    pub(crate) scope: Option<&'static str>,
    /// Returns the JSON schemas of the parameters by their names.
    pub(crate) params: fn() -> Json,
    /// Returns the JSON schema of the result.
    pub(crate) result: fn() -> Json,
    activity_check: ActivityCheck,
    run: for<'a> fn(&'a Context<'a, S>, &'a ParamMap, &'a mut Subject) -> MethodFuture<'a>,
}

/// The point at which the server checks that the caller is active.
#[derive(Clone, Copy)]
enum ActivityCheck {
    /// Before the method runs.
    Before,
    /// In the method's own transaction.
    InTransaction,
}

impl<S: Store + 'static> Method<S> {
    /// All methods, in the order in which `methods` and the API description list them.
    pub(crate) const ALL: &'static [Self] = &[
        Self {
            name: "imopenlines.crm.chat.user.delete",
            summary: "Removes a user from a chat of a CRM entity",
            scope: Some(SCOPE),
            params: schema::removal,
            result: schema::chat,
            activity_check: ActivityCheck::InTransaction,
            run: |context, params, subject| Box::pin(delete(context, params, subject)),
        },
        Self {
            name: "batch",
            summary: "Calls up to 50 methods in sequence",
            scope: None,
            params: schema::commands,
            result: schema::batch,
            activity_check: ActivityCheck::Before,
            run: |context, params, _| Box::pin(batch::run(context, params)),
        },
        Self {
            name: "server.time",
            summary: "Returns the server's time",
            scope: None,
            params: schema::none,
            result: schema::date,
            activity_check: ActivityCheck::Before,
            run: |_, _, _| at_once(json!(time::now())),
        },
        Self {
            name: "scope",
            summary: "Lists the scopes of the credentials, or all scopes with `full`",
            scope: None,
            params: schema::full,
            result: schema::names,
            activity_check: ActivityCheck::Before,
            run: |context, params, _| at_once(scopes(context, params)),
        },
        Self {
            name: "methods",
            summary: "Lists the methods",
            scope: None,
            params: schema::none,
            result: schema::names,
            activity_check: ActivityCheck::Before,
            run: |_, _, _| at_once(Self::ALL.iter().map(|method| method.name).collect()),
        },
        Self {
            name: "method.get",
            summary: "Checks if the method `name` exists and if the credentials may call it",
            scope: None,
            params: schema::name,
            result: schema::availability,
            activity_check: ActivityCheck::Before,
            run: |context, params, _| at_once(availability::<S>(context, params)),
        },
        Self {
            name: "profile",
            summary: "Returns the calling user",
            scope: None,
            params: schema::none,
            result: schema::profile,
            activity_check: ActivityCheck::Before,
            run: |context, _, _| {
                at_once(json!({"ID": context.grant.user.to_string(), "ACTIVE": true}))
            },
        },
        Self {
            name: "app.info",
            summary: "Returns information about the server",
            scope: None,
            params: schema::none,
            result: schema::application,
            activity_check: ActivityCheck::Before,
            run: |context, _, _| at_once(application(context)),
        },
    ];

    /// Finds a method by its name in lower case.
    pub(crate) fn find(name: &str) -> Result<&'static Self, ApiError> {
        let method = Self::ALL.iter().find(|method| method.name == name);
        method.ok_or(ApiError::MethodNotFound)
    }

    /// Checks that the credentials have the scope of the method.
    pub(crate) fn authorize(&self, grant: &Grant) -> Result<(), ApiError> {
        match self.scope {
            Some(scope) if !grant.scopes.contains(scope) => Err(ApiError::InsufficientScope(scope)),
            _ => Ok(()),
        }
    }

    /// Runs the method for an authorized caller, and records the subject of the call for the log.
    pub(crate) async fn run(
        &self,
        context: &Context<'_, S>,
        params: &ParamMap,
        subject: &mut Subject,
    ) -> MethodResult {
        if let ActivityCheck::Before = self.activity_check {
            context.check_active().await?;
        }
        (self.run)(context, params, subject).await
    }
}

fn at_once<'a>(json: Json) -> MethodFuture<'a> {
    Box::pin(ready(Ok(Output::Json(json))))
}

async fn delete<S: Store>(
    context: &Context<'_, S>,
    params: &ParamMap,
    subject: &mut Subject,
) -> MethodResult {
    let removal = match params.to_request().parse() {
        Ok(removal) => removal,
        Err(refusal) => {
            // Check separately, because an invalid request never reaches a transaction. A caller
            // who is not active must not learn anything else.
            context.check_active().await?;
            return Err(if params.look_like_json() {
                ApiError::JsonAsForm(refusal)
            } else {
                refusal.into()
            });
        }
    };
    subject.set_removal(&removal);
    let answer = remove_if_active(context.store, context.grant.user, &removal).await?;
    context.readiness.record_success();
    let outcome = answer.ok_or(ApiError::CallerNotActive)??;
    subject.set_outcome(&outcome);
    Ok(Output::Json(json!(outcome.result())))
}

fn scopes<S>(context: &Context<'_, S>, params: &ParamMap) -> Json {
    if params.input("full").is_absent() {
        context.grant.scopes.iter().collect()
    } else {
        json!([SCOPE])
    }
}

fn availability<S: Store + 'static>(context: &Context<'_, S>, params: &ParamMap) -> Json {
    let name = params.get("name").and_then(Param::to_text);
    let method = Method::<S>::find(&name.unwrap_or_default().to_ascii_lowercase());
    let is_available = |method: &Method<S>| method.authorize(context.grant).is_ok();
    json!({"isExisting": method.is_ok(), "isAvailable": method.is_ok_and(is_available)})
}

/// Returns the fields that the original server returns. The client libraries read some of them.
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
