//! A harness's methods, delegated to a store that already has them.

use std::fmt::Debug;

use crm_chat_domain::{LogEntry, Snapshot};

/// Implements a part of a [`Harness`](crate::Harness) by the store's own methods: the type `Store`
/// and the methods `edit`, `dump` and `log`.
///
/// The store needs inherent methods of the same names:
///
/// ```text
/// async fn edit(&self, edit: &Edit) -> Result<(), EditError>
/// async fn dump(&self) -> Snapshot
/// async fn log(&self, after: u64, limit: usize) -> Vec<LogEntry>
/// ```
///
/// `dump` and `log` may also return a `Result` of these.
///
/// If the store has only some of the methods, list them: `by_own_methods!(Store: dump, log);`. The
/// harness then implements the others.
#[macro_export]
macro_rules! by_own_methods {
    ($store:ty) => {
        $crate::by_own_methods!($store: edit, dump, log);
    };
    ($store:ty: $($method:ident),+) => {
        type Store = $store;

        $($crate::__own_method!($method $store);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __own_method {
    (edit $store:ty) => {
        async fn edit(
            &self,
            store: &$store,
            edit: &$crate::domain::Edit,
        ) -> ::core::result::Result<(), $crate::domain::snapshot::EditError> {
            store.edit(edit).await
        }
    };
    (dump $store:ty) => {
        async fn dump(&self, store: &$store) -> $crate::domain::Snapshot {
            $crate::IntoValue::into_value(store.dump().await)
        }
    };
    (log $store:ty) => {
        async fn log(
            &self,
            store: &$store,
            after: u64,
        ) -> ::std::vec::Vec<$crate::domain::LogEntry> {
            $crate::IntoValue::into_value(store.log(after, usize::MAX).await)
        }
    };
}

/// A conversion that accepts both a value and a `Result` of it, for `by_own_methods!`.
#[doc(hidden)]
pub trait IntoValue<T> {
    fn into_value(self) -> T;
}

impl IntoValue<Self> for Snapshot {
    fn into_value(self) -> Self {
        self
    }
}

impl IntoValue<Self> for Vec<LogEntry> {
    fn into_value(self) -> Self {
        self
    }
}

impl<T, E: Debug> IntoValue<T> for Result<T, E> {
    #[track_caller]
    fn into_value(self) -> T {
        self.expect("the store can be read")
    }
}
