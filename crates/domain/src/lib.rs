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
mod entity;
mod explain;
pub mod guide;
mod id;
mod input;
mod ports;
mod refusal;
mod removal;
mod remove;
mod request;
mod rules;
pub mod snapshot;
mod store_error;
mod timestamp;
mod transact;

pub use composed::Composed;
pub use entity::{Entity, EntityKind, ParseEntityError, ParseEntityKindError};
pub use explain::{Explanation, Verdict, explain};
pub use id::{ChatId, EntityId, InvalidIdError, UserId};
pub use input::Input;
pub use ports::{ChatRepo, CrmRepo, Permissions, Role, Store, Transaction, UnitOfWork, UserRepo};
pub use refusal::{Argument, Refusal};
pub use removal::{Change, IfAbsent, Outcome, OwnerChange, Removal};
pub use remove::{Answer, RemoveError, remove_in, remove_user, remove_users};
pub use request::Request;
pub use rules::Rule;
pub use snapshot::{Edit, LogEntry, RemovalRecord, Snapshot};
pub use store_error::{StoreError, StoreErrorKind};
pub use timestamp::{InvalidTimestampError, Timestamp};
pub use transact::{Work, transact, transact_read};

/// The page of the repository whose example must compile.
#[cfg(all(doctest, feature = "serde"))]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
}
