//! Storage failures as people and programs see them.

use std::error::Error;
use std::io;

use crm_chat_domain::{Refusal, RemoveError, StoreError, StoreErrorKind};

#[test]
fn every_kind_says_what_it_means() {
    for (kind, said) in [
        (StoreErrorKind::Conflict, "conflict with another transaction"),
        (StoreErrorKind::Unavailable, "unavailable"),
        (StoreErrorKind::OutcomeUnknown, "outcome unknown"),
        (StoreErrorKind::Corrupt, "corrupt"),
        (StoreErrorKind::Unsupported, "unsupported"),
        (StoreErrorKind::Other, "unexpected failure"),
    ] {
        let error = StoreError::new(kind, "read chat 7");
        assert_eq!((error.kind(), error.operation()), (kind, "read chat 7"));
        assert_eq!(error.to_string(), format!("cannot read chat 7: {said}"));
        assert_eq!(error.report(), error.to_string());
    }
}

#[test]
fn the_report_tells_every_cause_and_the_display_none() {
    let disk = io::Error::other(StoreError::new(StoreErrorKind::Other, "sync").with_source("EIO"));
    let error = StoreError::new(StoreErrorKind::Unavailable, "commit").with_source(disk);
    assert_eq!(error.to_string(), "cannot commit: unavailable");
    let report = "cannot commit: unavailable: cannot sync: unexpected failure: EIO";
    assert_eq!(error.report(), report);
    assert!(error.source().unwrap().is::<io::Error>());
    assert_eq!(error.clone().report(), report);
}

#[test]
fn a_failure_renamed_keeps_its_kind_and_its_causes() {
    let error = StoreError::new(StoreErrorKind::Corrupt, "read a row").with_source("EIO");
    let renamed = error.with_operation("open the store");
    assert_eq!(renamed.report(), "cannot open the store: corrupt: EIO");
}

#[test]
fn a_removal_that_failed_tells_what_lies_beneath_as_its_own() {
    let store = StoreError::new(StoreErrorKind::Unavailable, "commit").with_source("EIO");
    let error = RemoveError::from(store);
    assert_eq!(error.to_string(), "cannot commit: unavailable");
    assert_eq!(error.source().unwrap().to_string(), "EIO");
    let refused = RemoveError::from(Refusal::MessengerNotInstalled);
    assert_eq!(refused.to_string(), "the messenger is not installed");
}
