//! Operations on a store.

use crm_chat_domain::{
    Answer, EditError, RemoveError, Store, StoreError, explain, remove_user, remove_users,
};

use crate::Harness;
use crate::model::{Call, Explained, Operation, Response};

/// Performs an operation on a handle of a store.
///
/// # Errors
/// [`StoreError`] if the storage failed.
pub async fn perform<H: Harness>(
    harness: &H,
    store: &H::Store,
    operation: &Operation,
) -> Result<Response, StoreError> {
    Ok(match operation {
        Operation::Remove(call) => Response::Answer(remove(store, call).await?),
        Operation::RemoveMany(calls) => Response::Answers(remove_many(store, calls).await?),
        Operation::Explain(call) => {
            let explanation = explain(store, call.actor, &call.request).await?;
            Response::Explained(Explained::try_from(&explanation)?)
        }
        Operation::Edit(edit) => Response::Edited(match harness.edit(store, edit).await {
            Ok(()) => Ok(()),
            Err(EditError::Rejected(rejection)) => Err(rejection),
            Err(EditError::Store(error)) => return Err(error),
        }),
        Operation::Dump => Response::Dumped(harness.dump(store).await),
    })
}

pub(super) async fn remove(store: &impl Store, call: &Call) -> Result<Answer, StoreError> {
    let removal = match call.request.parse() {
        Ok(removal) => removal,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match remove_user(store, call.actor, &removal).await {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(RemoveError::Refused(refusal)) => Ok(Err(refusal)),
        Err(RemoveError::Store(error)) => Err(error),
    }
}

/// Removes in one transaction what can be read, and answers what cannot in its place.
async fn remove_many(store: &impl Store, calls: &[Call]) -> Result<Vec<Answer>, StoreError> {
    let parsed: Vec<_> = calls
        .iter()
        .map(|call| (call.actor, call.request.parse()))
        .collect();
    let readable =
        |(actor, removal): &(_, Result<_, _>)| removal.ok().map(|removal| (*actor, removal));
    let readable: Vec<_> = parsed.iter().filter_map(readable).collect();
    let mut answers = remove_users(store, &readable).await?.into_iter();
    let answer = |(_, parsed): (_, Result<_, _>)| match parsed {
        Ok(_) => answers.next(),
        Err(refusal) => Some(Err(refusal)),
    };
    // An answer too few is a wrong response.
    Ok(parsed.into_iter().map_while(answer).collect())
}
