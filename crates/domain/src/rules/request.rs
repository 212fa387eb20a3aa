//! Rules 1 to 5, which need the request alone.

use crate::{Argument, ChatId, EntityId, EntityKind, Input, Refusal, Request, UserId};

/// Checks rule 1: `USER_ID` is an id.
pub(crate) fn user_id(request: &Request) -> Result<UserId, Refusal> {
    request.user_id.to_id().ok_or(Refusal::EmptyUser)
}

/// Checks rule 2: `CRM_ENTITY_TYPE` and `CRM_ENTITY` are not absent.
pub(crate) fn crm_data(request: &Request) -> Result<(), Refusal> {
    if request.crm_entity_type.is_absent() || request.crm_entity.is_absent() {
        Err(Refusal::EmptyCrmData)
    } else {
        Ok(())
    }
}

/// Checks rule 3: `CRM_ENTITY` is an id.
pub(crate) fn crm_entity(request: &Request) -> Result<EntityId, Refusal> {
    let refusal = Refusal::InvalidArgument(Argument::CrmEntity);
    request.crm_entity.to_id().ok_or(refusal)
}

/// Checks rule 4: `CHAT_ID`, unless absent, is an id.
pub(crate) fn chat_id(request: &Request) -> Result<Option<ChatId>, Refusal> {
    if request.chat_id.is_absent() {
        return Ok(None);
    }
    let refusal = Refusal::InvalidArgument(Argument::ChatId);
    request.chat_id.to_id().map(Some).ok_or(refusal)
}

/// Checks rule 5: `CRM_ENTITY_TYPE` names one of the four kinds.
pub(crate) fn crm_entity_type(request: &Request) -> Result<EntityKind, Refusal> {
    match &request.crm_entity_type {
        Input::Text(kind) => kind.parse().map_err(|_| Refusal::UnknownEntityKind),
        Input::Absent | Input::Number(_) | Input::Other => Err(Refusal::UnknownEntityKind),
    }
}
