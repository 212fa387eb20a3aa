//! Untrusted requests, before the rules check them.

use crate::rules::request as rules;
use crate::{IfAbsent, Input, Refusal, Removal};

/// An untrusted request to remove a user from a chat: the parameters of the method, valid or not.
///
/// With the feature `serde` it is deserialized from a map with the keys of the wire:
/// `CRM_ENTITY_TYPE`, `CRM_ENTITY`, `USER_ID`, `CHAT_ID`. Other keys are ignored. If a key occurs
/// twice, the last value wins. The option `if_absent` belongs to the caller and is never read from
/// the wire.
///
/// ```
/// use crm_chat_domain::{Refusal, Request};
///
/// let request = Request {
///     crm_entity_type: "deal".into(),
///     crm_entity: 288.into(),
///     user_id: "12abc".into(),
///     ..Request::default()
/// };
/// assert_eq!(request.parse(), Err(Refusal::EmptyUser));
///
/// let json = r#"{"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": "288", "USER_ID": 12, "AUTH": "…"}"#;
/// let request: Request = serde_json::from_str(json).unwrap();
/// let removal = request.parse().unwrap();
/// assert_eq!(removal.entity.to_string(), "deal:288");
/// assert_eq!(removal.chat, None); // from the deal's last chat
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "std::collections::BTreeMap<String, Input>"))]
pub struct Request {
    /// `CRM_ENTITY_TYPE`: the kind of the entity.
    pub crm_entity_type: Input,
    /// `CRM_ENTITY`: the id of the entity.
    pub crm_entity: Input,
    /// `USER_ID`: the user or bot that is to leave the chat.
    pub user_id: Input,
    /// `CHAT_ID`: the chat; if absent, the entity's last chat.
    pub chat_id: Input,
    /// The effect of a user who is not a member of the chat.
    pub if_absent: IfAbsent,
}

impl Request {
    /// Checks rules 1 to 5, in their order, and returns the typed request.
    ///
    /// # Errors
    /// The refusal of the first rule that fails: [`Refusal::EmptyUser`], [`Refusal::EmptyCrmData`],
    /// [`Refusal::InvalidArgument`] or [`Refusal::UnknownEntityKind`].
    pub fn parse(&self) -> Result<Removal, Refusal> {
        // The published order: the kind comes last although it is cheap to check.
        let user = rules::user_id(self)?;
        rules::crm_data(self)?;
        let id = rules::crm_entity(self)?;
        let chat = rules::chat_id(self)?;
        let kind = rules::crm_entity_type(self)?;
        Ok(Removal { entity: crate::Entity { kind, id }, user, chat, if_absent: self.if_absent })
    }
}

/// Takes the parameters of the method from a map, and ignores all others.
impl From<std::collections::BTreeMap<String, Input>> for Request {
    fn from(mut parameters: std::collections::BTreeMap<String, Input>) -> Self {
        let mut take = |name| parameters.remove(name).unwrap_or_default();
        Self {
            crm_entity_type: take("CRM_ENTITY_TYPE"),
            crm_entity: take("CRM_ENTITY"),
            user_id: take("USER_ID"),
            chat_id: take("CHAT_ID"),
            if_absent: IfAbsent::default(),
        }
    }
}

impl From<&Removal> for Request {
    fn from(removal: &Removal) -> Self {
        Self {
            crm_entity_type: removal.entity.kind.as_str().into(),
            crm_entity: removal.entity.id.get().into(),
            user_id: removal.user.get().into(),
            chat_id: removal.chat.map(crate::ChatId::get).into(),
            if_absent: removal.if_absent,
        }
    }
}
