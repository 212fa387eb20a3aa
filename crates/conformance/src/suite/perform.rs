//! Performs the operations of the model on a backend.

use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{
    Answer, Outcome, Removal, RemoveError, Store, StoreError, StoreErrorKind, UserId, explain,
    remove_user, remove_users,
};

use super::harness::Harness;
use crate::model::{Operation, RemovalCall, Response};

/// The result of a removal in a form that can be compared: the answer, or the kind of the storage
/// failure.
pub type RemovalReply = Result<Answer, StoreErrorKind>;

/// Converts the result of [`remove_user`], and keeps the storage failure for reports.
pub(super) fn to_reply(result: Result<Outcome, RemoveError>) -> (RemovalReply, Option<StoreError>) {
    match result {
        Ok(outcome) => (Ok(Ok(outcome)), None),
        Err(RemoveError::Refused(refusal)) => (Ok(Err(refusal)), None),
        Err(RemoveError::Store(error)) => (Err(error.kind()), Some(error)),
    }
}

/// Performs an operation of the [`Model`](crate::model::Model) on a handle and returns the store's
/// response.
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

/// Performs an operation like [`perform`], with removals and explanations going through `store`, a
/// decorated handle such as a [`Faulty`](crate::doubles::Faulty) one. Edits and dumps, which the
/// harness performs, use `handle`.
///
/// # Errors
/// [`StoreError`] if the storage or the decorator failed.
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

async fn remove(store: &impl Store, call: &RemovalCall) -> Result<Answer, StoreError> {
    let removal = match call.request.parse() {
        Ok(removal) => removal,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match to_reply(remove_user(store, call.actor, &removal).await) {
        (Ok(answer), _) => Ok(answer),
        (Err(kind), error) => Err(error.unwrap_or_else(|| StoreError::new(kind, "remove a user"))),
    }
}

async fn remove_many(store: &impl Store, calls: &[RemovalCall]) -> Result<Vec<Answer>, StoreError> {
    let parsed: Vec<_> = calls.iter().map(|call| call.request.parse()).collect();
    let valid = calls.iter().zip(&parsed);
    let valid = valid.filter_map(|(call, parsed)| Some((call.actor, *parsed.as_ref().ok()?)));
    let requests: Vec<(UserId, Removal)> = valid.collect();
    // The store never sees the requests that cannot be parsed. Put their refusals back in order.
    let mut answers = remove_users(store, &requests).await?.into_iter();
    let merged = parsed.into_iter().filter_map(|parsed| match parsed {
        Ok(_) => answers.next(),
        Err(refusal) => Some(Err(refusal)),
    });
    Ok(merged.collect())
}
