//! The list of the cases, and the pages that must agree with it.

use std::collections::{BTreeMap, BTreeSet};

use crm_chat_conformance::CASES;

/// The scenarios that the suite plays. K4 and K5 (kills, and corrupt or read-only files) depend on
/// the storage, so each durable backend tests them itself.
const SCENARIOS: &str = "R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12 O1 O2 O3 O4 O5 O6 N1 N2 N3 N4 N5 \
                         U1 U2 U3 U4 D1 D2 D3 E1 E2 E3 E4 E5 E6 K1 K2 K3";

/// The scenarios that are listed in docs/scenarios.md without a case.
const WITHOUT_CASE: [&str; 2] = ["K4", "K5"];

fn read(name: &str) -> String {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_scenario_has_a_case_and_every_case_a_scenario() {
    let covered: BTreeSet<_> = CASES.iter().map(|case| case.id).collect();
    assert_eq!(covered, SCENARIOS.split_whitespace().collect());
}

#[test]
fn case_names_are_unique_and_start_with_their_scenario() {
    let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len());
    for case in CASES {
        let prefix = format!("{}_", case.id.to_lowercase());
        assert!(case.name.starts_with(&prefix), "{} plays {}", case.name, case.id);
    }
}

/// A row of the page is `| id | scenario | cases |`, with each case in backticks.
#[test]
fn scenarios_page_lists_every_scenario_with_its_cases() {
    let page = read("../../docs/scenarios.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let (id, _, cases) = (cells.next()?, cells.next()?, cells.next()?);
        let starts_like_id = id.starts_with(|first: char| "RONUDEK".contains(first));
        let numbered = id.get(1..).is_some_and(|number| number.parse::<u8>().is_ok());
        let cases = cases.split('`').skip(1).step_by(2).map(str::to_owned);
        (starts_like_id && numbered).then(|| (id.to_owned(), cases.collect::<BTreeSet<_>>()))
    });
    let rows: Vec<_> = rows.collect();
    let actual: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(actual.len(), rows.len(), "a scenario is listed twice");

    let mut expected = BTreeMap::<String, BTreeSet<String>>::new();
    for id in WITHOUT_CASE {
        expected.insert(id.to_owned(), BTreeSet::new());
    }
    for case in CASES {
        expected.entry(case.id.to_owned()).or_default().insert(case.name.to_owned());
    }
    assert_eq!(actual, expected);
}

/// The dependencies in the front page's example have the versions that the crate is built with.
#[test]
fn front_page_names_the_versions_in_use() {
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
