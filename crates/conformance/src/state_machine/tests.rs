use crm_chat_domain::{Edit, EditError, LogEntry, Snapshot};
use crm_chat_memory::Memory;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use super::{Disagreement, agree_on, obeys_the_model};
use crate::model::Script;
use crate::{Harness, by_own_methods, property_tests, strategies};

pub(super) struct InMemory;

impl Harness for InMemory {
    type Place = Memory;
    by_own_methods!(Memory);

    async fn create(&self, world: &Snapshot) -> Memory {
        let memory = Memory::new();
        memory.load(world).await.expect("the world is valid");
        memory
    }

    async fn connect(&self, place: &Memory) -> Memory {
        place.clone()
    }
}

property_tests!(InMemory);

#[test]
fn a_backend_agrees_with_itself() {
    super::two_backends_agree(&InMemory, &InMemory);
}

/// Memory that forgets every right it is told to grant.
struct Forgetful;

impl Harness for Forgetful {
    type Place = Memory;
    type Store = Memory;

    async fn create(&self, world: &Snapshot) -> Memory {
        InMemory.create(world).await
    }

    async fn connect(&self, place: &Memory) -> Memory {
        InMemory.connect(place).await
    }

    async fn edit(&self, store: &Memory, edit: &Edit) -> Result<(), EditError> {
        match edit {
            Edit::GrantAccess(_) => Ok(()),
            edit => InMemory.edit(store, edit).await,
        }
    }

    async fn dump(&self, store: &Memory) -> Snapshot {
        InMemory.dump(store).await
    }

    async fn log(&self, store: &Memory, after: u64) -> Vec<LogEntry> {
        InMemory.log(store, after).await
    }
}

/// Finds the smallest script that fails, the same on every run.
fn smallest(test: impl Fn(&Script) -> Result<(), Disagreement>) -> Script {
    let config = Config {
        cases: 1000,
        max_shrink_iters: 10_000,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRunner::deterministic().new_rng();
    let fails = |script| test(&script).map_err(|error| TestCaseError::fail(error.to_string()));
    match TestRunner::new_with_rng(config, rng).run(&strategies::script(1..=12), fails) {
        Err(TestError::Fail(_, script)) => script,
        other => panic!("nothing was found: {other:?}"),
    }
}

#[test]
fn a_fault_is_shown_by_a_script_of_one_operation_in_an_empty_world() {
    for script in [
        smallest(|script| obeys_the_model(&Forgetful, script)),
        smallest(|script| agree_on(&InMemory, &Forgetful, script)),
    ] {
        assert_eq!(script.operations.len(), 1, "{script}");
        assert_eq!(script.world, Snapshot::default(), "{script}");
    }
}

#[test]
#[should_panic(expected = r#"access: missing {"user":1,"#)]
fn a_counterexample_is_replayed() {
    let script = r#"{}
        {"edit":{"grant_access":{"user":1,"entity":{"type":"deal","id":21}}}}"#;
    super::replay(&InMemory, script);
    super::replay(&Forgetful, script);
}
