//! Storage failures: display, report and causes.

use std::error::Error;
use std::io;

use crm_chat_domain::{Refusal, RemoveError, StoreError, StoreErrorKind};

#[test]
fn every_kind_has_its_description() {
    for (kind, description) in [
        (StoreErrorKind::Conflict, "conflict with another transaction"),
        (StoreErrorKind::Unavailable, "unavailable"),
        (StoreErrorKind::OutcomeUnknown, "outcome unknown"),
        (StoreErrorKind::Corrupt, "corrupt"),
        (StoreErrorKind::Unsupported, "unsupported"),
        (StoreErrorKind::Other, "unexpected failure"),
    ] {
        let error = StoreError::new(kind, "read chat 7");
        assert_eq!((error.kind(), error.operation()), (kind, "read chat 7"));
        assert_eq!(error.to_string(), format!("cannot read chat 7: {description}"));
        assert_eq!(error.report(), error.to_string());
    }
}

#[test]
fn report_contains_every_cause_and_display_contains_none() {
    let disk = io::Error::other(StoreError::new(StoreErrorKind::Other, "sync").with_source("EIO"));
    let error = StoreError::new(StoreErrorKind::Unavailable, "commit").with_source(disk);
    assert_eq!(error.to_string(), "cannot commit: unavailable");
    let report = "cannot commit: unavailable: cannot sync: unexpected failure: EIO";
    assert_eq!(error.report(), report);
    assert!(error.source().unwrap().is::<io::Error>());
    assert_eq!(error.clone().report(), report);
}

#[test]
fn replaced_operation_keeps_kind_and_causes() {
    let error = StoreError::new(StoreErrorKind::Corrupt, "read a row").with_source("EIO");
    let renamed = error.with_operation("open the store");
    assert_eq!(renamed.report(), "cannot open the store: corrupt: EIO");
}

#[test]
fn remove_error_is_transparent() {
    let store = StoreError::new(StoreErrorKind::Unavailable, "commit").with_source("EIO");
    let error = RemoveError::from(store);
    assert_eq!(error.to_string(), "cannot commit: unavailable");
    assert_eq!(error.source().unwrap().to_string(), "EIO");
    let refused = RemoveError::from(Refusal::MessengerNotInstalled);
    assert_eq!(refused.to_string(), "the messenger is not installed");
}
