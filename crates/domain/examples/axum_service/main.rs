//! A web service that embeds the core over tables of its own: `POST /remove` with the method's
//! parameters as JSON.
//!
//! It listens on the given address, or on a free port, and prints the address.

use axum::extract::{State, rejection::JsonRejection};
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use crm_chat_domain::{RemoveError, Request, StoreErrorKind, UserId, remove_user};
use serde_json::{Value, json};
use tokio::net::TcpListener;

mod ports;
mod tables;

use tables::{Database, Tables};

async fn remove(
    State(database): State<Database>,
    headers: HeaderMap,
    body: Result<Json<Request>, JsonRejection>,
) -> (StatusCode, Json<Value>) {
    // In place of the service's own authentication.
    let actor = headers.get("x-user").and_then(|user| user.to_str().ok()?.parse().ok());
    let Some(actor) = actor else {
        return reply(401, json!({"error": "NO_AUTH_FOUND"}));
    };
    let Ok(Json(request)) = body else {
        return reply(400, json!({"error": "INVALID_REQUEST"}));
    };
    // In a task of its own, the removal completes even if the client disconnects.
    let task = tokio::spawn(async move { remove_user(&database, actor, &request.parse()?).await });
    match task.await {
        Ok(Ok(outcome)) => reply(200, json!({"result": outcome.result()})),
        Ok(Err(RemoveError::Refused(refusal))) => reply(refusal.status(), json!(refusal)),
        Ok(Err(RemoveError::Store(error))) => {
            eprintln!("{}", error.report());
            let unavailable = error.kind() == StoreErrorKind::Unavailable;
            reply(if unavailable { 503 } else { 500 }, json!({"error": "STORE_FAILED"}))
        }
        // The task panicked, which the runtime has already reported.
        Err(_) => reply(500, json!({"error": "INTERNAL_ERROR"})),
    }
}

fn reply(status: u16, body: Value) -> (StatusCode, Json<Value>) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (ann, bob) = (UserId::try_from(1_i64)?, UserId::try_from(12_i64)?);
    let (deal, chat) = ("deal:288".parse()?, "8773".parse()?);
    let tables = Tables {
        staff: [ann, bob].into(),
        kept: [(deal, (ann, chat))].into(),
        members: vec![(chat, bob), (chat, ann)],
        owners: [(chat, bob)].into(),
        ..Tables::default()
    };
    let database = Database::from(tables);
    let service = Router::new().route("/remove", post(remove)).with_state(database);

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, service).await?)
}
