//! Operations of the model, done to a backend.

use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{
    Answer, Removal, Store, StoreError, UserId, explain, remove_user, remove_users,
};

use super::lab::reply;
use crate::Harness;
use crate::model::{Call, Operation, Response};

/// Performs on a handle what a [`Model`](crate::model::Model) can perform too, and returns what the store responds.
///
/// # Errors
/// [`StoreError`] if the storage failed.
pub async fn perform<H: Harness>(
    harness: &H,
    store: &H::Store,
    operation: &Operation,
) -> Result<Response, StoreError> {
    perform_through(harness, store, store, operation).await
}

/// Performs removals and explanations on a decorated store ([`Faulty`](crate::faults::Faulty), say), and what the harness
/// does, single changes and dumps, on a handle.
///
/// # Errors
/// [`StoreError`] if the storage, or the decoration, failed.
pub async fn perform_through<H: Harness>(
    harness: &H,
    handle: &H::Store,
    store: &impl Store,
    operation: &Operation,
) -> Result<Response, StoreError> {
    Ok(match operation {
        Operation::Remove(call) => Response::Answer(remove(store, call).await?),
        Operation::RemoveMany(calls) => Response::Answers(remove_many(store, calls).await?),
        Operation::Explain(call) => {
            let explanation = explain(store, call.actor, &call.request).await?;
            Response::Explained((&explanation).try_into()?)
        }
        Operation::Edit(edit) => Response::Edited(match harness.edit(handle, edit).await {
            Ok(()) => Ok(()),
            Err(EditError::Rejected(rejection)) => Err(rejection),
            Err(EditError::Store(error)) => return Err(error),
        }),
        Operation::Dump => Response::Dumped(harness.dump(handle).await),
    })
}

async fn remove(store: &impl Store, call: &Call) -> Result<Answer, StoreError> {
    let removal = match call.request.parse() {
        Ok(removal) => removal,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match reply(remove_user(store, call.actor, &removal).await) {
        (Ok(answer), _) => Ok(answer),
        (Err(kind), error) => Err(error.unwrap_or_else(|| StoreError::new(kind, "remove a user"))),
    }
}

async fn remove_many(store: &impl Store, calls: &[Call]) -> Result<Vec<Answer>, StoreError> {
    let parsed: Vec<_> = calls.iter().map(|call| call.request.parse()).collect();
    let typed = calls.iter().zip(&parsed);
    let typed = typed.filter_map(|(call, parsed)| Some((call.actor, *parsed.as_ref().ok()?)));
    let requests: Vec<(UserId, Removal)> = typed.collect();
    let mut answers = remove_users(store, &requests).await?.into_iter();
    let answered = parsed.into_iter().filter_map(|parsed| match parsed {
        Ok(_) => answers.next(),
        Err(refusal) => Some(Err(refusal)),
    });
    Ok(answered.collect())
}
