//! The document of a store, read while it is written.

use std::cell::RefCell;

use crm_chat_domain::StoreError;
use crm_chat_sqlite::Export;
use serde::ser::{Error, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

/// The keys and values of a [`Snapshot`](crm_chat_domain::Snapshot), of which one item is in memory
/// at a time.
pub(super) struct Document {
    export: Export,
    /// A serializer's error cannot hold the store's.
    store_error: RefCell<Option<StoreError>>,
}

impl Document {
    pub(super) fn new(export: Export) -> Self {
        Self { export, store_error: RefCell::new(None) }
    }

    /// Returns the error with which reading the store ended. The serializer's error says nothing then.
    pub(super) fn into_store_error(self) -> Option<StoreError> {
        self.store_error.into_inner()
    }

    fn failed<E: Error>(&self, error: StoreError) -> E {
        self.store_error.replace(Some(error));
        E::custom("the store failed")
    }

    /// Returns a list as it is read by a method of the export.
    fn list<'a, T>(&'a self, read: impl Fn(Each<'_, T>) -> Result<(), Stop> + 'a) -> List<'a, T> {
        List { document: self, read: Box::new(read) }
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let export = &self.export;
        let messenger_installed =
            export.messenger_installed().map_err(|error| self.failed(error))?;
        let mut document = serializer.serialize_struct("Snapshot", 7)?;
        document.serialize_field("messenger_installed", &messenger_installed)?;
        document.serialize_field("users", &self.list(|each| export.users(each)))?;
        document.serialize_field("chats", &self.list(|each| export.chats(each)))?;
        document.serialize_field("links", &self.list(|each| export.links(each)))?;
        document.serialize_field("access", &self.list(|each| export.access(each)))?;
        document.serialize_field("removers", &self.list(|each| export.removers(each)))?;
        document.serialize_field("removals", &self.list(|each| export.removals(each)))?;
        document.end()
    }
}

/// Takes one item after another.
type Each<'a, T> = &'a mut dyn FnMut(T) -> Result<(), Stop>;

/// Reads a list.
type Read<'a, T> = dyn Fn(Each<'_, T>) -> Result<(), Stop> + 'a;

/// The reason for which a list is not read to its end.
enum Stop {
    Store(StoreError),
    /// The item could not be written.
    Output,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct List<'a, T> {
    document: &'a Document,
    read: Box<Read<'a, T>>,
}

impl<T: Serialize> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut unwritten = None;
        let read = (self.read)(&mut |item| {
            list.serialize_element(&item).map_err(|error| {
                unwritten = Some(error);
                Stop::Output
            })
        });
        match (read, unwritten) {
            (Ok(()), None) => list.end(),
            (Err(Stop::Store(error)), _) => Err(self.document.failed(error)),
            (_, Some(error)) => Err(error),
            (Err(Stop::Output), None) => Err(S::Error::custom("an item was not written")),
        }
    }
}
