//! The list of the cases.

use std::collections::BTreeSet;

use crm_chat_conformance::CASES;

/// The scenarios that the suite plays. K4 and K5 (kills, and damaged or read-only files) are a durable backend's own.
const SCENARIOS: &str = "R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12 O1 O2 O3 O4 O5 O6 N1 N2 N3 N4 N5 \
                         U1 U2 U3 U4 D1 D2 D3 E1 E2 E3 E4 E5 E6 K1 K2 K3";

#[test]
fn every_scenario_has_a_case_and_every_case_a_scenario() {
    let covered: BTreeSet<_> = CASES.iter().map(|case| case.id).collect();
    assert_eq!(covered, SCENARIOS.split_whitespace().collect());
}

#[test]
fn cases_are_named_after_their_scenarios_and_never_alike() {
    let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len());
    for case in CASES {
        let prefix = format!("{}_", case.id.to_lowercase());
        assert!(case.name.starts_with(&prefix), "{} plays {}", case.name, case.id);
    }
}

/// The dependencies that the front page tells a tester to write are those that the kit is built with.
#[test]
fn the_front_page_names_the_versions_in_use() {
    let read = |name: &str| {
        let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let (page, manifest) = (read("README.md"), read("../../Cargo.toml"));
    let block = page.split("[dev-dependencies]\n").nth(1);
    let block = block.and_then(|rest| rest.split("```").next());
    let mut external = 0;
    for line in block.expect("the page has a block of dependencies").lines() {
        let dependency = line.split('#').next().expect("a line").trim();
        let (name, version) = dependency.split_once(" = ").expect("a dependency");
        if name.starts_with("crm-chat-") {
            continue;
        }
        external += 1;
        let in_use = [format!("\n{dependency}\n"), format!("\n{name} = {{ version = {version}")];
        assert!(in_use.iter().any(|line| manifest.contains(line)), "{dependency}");
    }
    assert_eq!(external, 4);
}
