#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod composed;
mod edit;
mod entity;
mod explain;
mod id;
mod input;
mod ports;
mod refusal;
mod removal;
mod remove;
mod request;
mod rule;
mod rules;
mod snapshot;
mod store;
mod store_error;
mod timestamp;
mod transact;

pub use composed::Composed;
pub use edit::{Edit, EditError, EditRejection};
pub use entity::{Entity, EntityKind, InvalidEntity, UnknownEntityKind};
pub use explain::{Explanation, Verdict, explain};
pub use id::{ChatId, EntityId, InvalidId, UserId};
pub use input::Input;
pub use ports::{ChatRepo, CrmRepo, Permissions, Role, UserRepo};
pub use refusal::{Argument, Refusal};
pub use removal::{Change, IfAbsent, Outcome, OwnerChange, Removal};
pub use remove::{Answer, RemoveError, remove_in, remove_user, remove_users};
pub use request::Request;
pub use rule::Rule;
pub use snapshot::{
    Access, Chat, Link, LoadError, LogEntry, RemovalRecord, Remover, Snapshot, SnapshotError, User,
    UserKind,
};
pub use store::{Store, Transaction, UnitOfWork};
pub use store_error::{StoreError, StoreErrorKind};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use transact::{Work, transact, transact_read};

/// The pages of the repository whose examples must compile.
#[cfg(all(doctest, feature = "serde"))]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/embedding.md")]
    struct Embedding;
}
