//! Every case is shown to catch something: backends that are wrong in one way each.

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use crm_chat_conformance::{CASES, Case, check};

use crate::versions::{Flaw, Mode, VersionsHarness};

use Mode::{Optimistic, Pessimistic};

/// Each flaw, the mode that shows it, and cases that catch it.
const CAUGHT: &[(Flaw, Mode, &[&str])] = &[];

#[test]
fn each_flaw_is_caught_by_its_cases() {
    for (flaw, mode, cases) in CAUGHT {
        for name in *cases {
            is_caught(*flaw, *mode, name);
        }
    }
}

fn is_caught(flaw: Flaw, mode: Mode, name: &str) {
    let case = CASES
        .iter()
        .find(|case| case.name == name)
        .expect("the case is listed");
    let harness = VersionsHarness {
        mode,
        flaw: Some(flaw),
    };
    let Err(panic) = catch_unwind(|| check(harness, name)) else {
        panic!("{name} does not catch {flaw:?}");
    };
    let account = panic.downcast_ref::<String>().map_or("", String::as_str);
    let Case { id, law, .. } = case;
    assert!(
        account.starts_with(&format!("{id}: {law}")),
        "{name} on {flaw:?} says: {account}"
    );
}

#[test]
fn every_case_catches_a_flaw() {
    let catching: BTreeSet<_> = CAUGHT
        .iter()
        .flat_map(|(.., cases)| cases.iter().copied())
        .collect();
    let all: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(catching, all);
}

#[test]
#[ignore]
fn survey() {
    for flaw in crate::versions::ALL {
        for mode in [Pessimistic, Optimistic] {
            let caught: Vec<_> = CASES
                .iter()
                .map(|c| c.name)
                .filter(|name| {
                    catch_unwind(|| {
                        check(
                            VersionsHarness {
                                mode,
                                flaw: Some(*flaw),
                            },
                            name,
                        )
                    })
                    .is_err()
                })
                .collect();
            eprintln!("SURVEY {flaw:?} {mode:?}: {}", caught.join(" "));
        }
    }
}
