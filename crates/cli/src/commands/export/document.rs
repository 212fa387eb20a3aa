//! The content of a store, read while it is written out.

use std::cell::RefCell;

use crm_chat_domain::StoreError;
use crm_chat_sqlite::Export;
use serde::ser::{Error, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

/// A document with the keys and values of a [`Snapshot`](crm_chat_domain::Snapshot), of which one
/// item is in memory at a time.
pub(super) struct ExportDocument {
    export: Export,
    /// The storage failure that ended serialization. A serializer's own error cannot hold it.
    store_error: RefCell<Option<StoreError>>,
}

impl ExportDocument {
    pub(super) fn new(export: Export) -> Self {
        Self { export, store_error: RefCell::new(None) }
    }

    /// Returns the storage failure that ended serialization. If there is one, it is the cause of
    /// the serializer's error.
    pub(super) fn into_store_error(self) -> Option<StoreError> {
        self.store_error.into_inner()
    }

    /// Keeps a storage failure, and returns an error for the serializer.
    fn store_failed<E: Error>(&self, error: StoreError) -> E {
        self.store_error.replace(Some(error));
        E::custom("the store failed")
    }

    /// Returns a list that is read by a method of [`Export`].
    fn list<'a, T>(
        &'a self,
        read: impl Fn(Visit<'_, T>) -> Result<(), VisitError> + 'a,
    ) -> List<'a, T> {
        List { document: self, read: Box::new(read) }
    }
}

impl Serialize for ExportDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let export = &self.export;
        let messenger_installed =
            export.messenger_installed().map_err(|error| self.store_failed(error))?;
        let mut document = serializer.serialize_struct("Snapshot", 7)?;
        document.serialize_field("messenger_installed", &messenger_installed)?;
        document.serialize_field("users", &self.list(|visit| export.users(visit)))?;
        document.serialize_field("chats", &self.list(|visit| export.chats(visit)))?;
        document.serialize_field("links", &self.list(|visit| export.links(visit)))?;
        document.serialize_field("access", &self.list(|visit| export.access(visit)))?;
        document.serialize_field("removers", &self.list(|visit| export.removers(visit)))?;
        document.serialize_field("removals", &self.list(|visit| export.removals(visit)))?;
        document.end()
    }
}

/// A callback that receives one item after another.
type Visit<'a, T> = &'a mut dyn FnMut(T) -> Result<(), VisitError>;

/// A function that passes each item of a list to a callback.
type ReadList<'a, T> = dyn Fn(Visit<'_, T>) -> Result<(), VisitError> + 'a;

/// The error returned when a list was not read to its end.
enum VisitError {
    /// The store failed.
    Store(StoreError),
    /// An item could not be written.
    Output,
}

impl From<StoreError> for VisitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A list of a document, read while it is serialized.
struct List<'a, T> {
    document: &'a ExportDocument,
    read: Box<ReadList<'a, T>>,
}

impl<T: Serialize> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        // The serializer's error type is not known to `Export`, so it is kept here meanwhile.
        let mut write_error = None;
        let read = (self.read)(&mut |item| {
            list.serialize_element(&item).map_err(|error| {
                write_error = Some(error);
                VisitError::Output
            })
        });
        match (read, write_error) {
            (Ok(()), None) => list.end(),
            (Err(VisitError::Store(error)), _) => Err(self.document.store_failed(error)),
            (_, Some(error)) => Err(error),
            (Err(VisitError::Output), None) => Err(S::Error::custom("an item was not written")),
        }
    }
}
