use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{Edit, LogEntry, Snapshot};
use crm_chat_memory::Memory;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use super::minimise::minimise;
use super::{Disagreement, agree_on, obeys_the_model};
use crate::model::{Operation, Script};
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

/// What proptest leaves when a part could go only after a later one: whatever is drawn, one chat and one member are left.
#[test]
fn a_minimal_script_needs_each_of_its_parts() {
    let has_member = |script: &Script| {
        let mut chats = script.world.chats.iter();
        chats.any(|chat| !chat.members.is_empty())
    };
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let drawn = strategies::script(1..=4).new_tree(&mut runner);
        let script = drawn.expect("no script is rejected").current();
        if !has_member(&script) {
            continue;
        }
        let Script { world, operations } = minimise(script, has_member);
        let [chat] = &world.chats[..] else {
            panic!("{world:?}");
        };
        assert_eq!((chat.members.len(), chat.owner), (1, None));
        let rest = Snapshot { chats: Vec::new(), ..world };
        assert_eq!((rest, operations), (Snapshot::default(), Vec::new()));
    }
}

#[test]
fn a_panic_is_a_counterexample_too() {
    let panic = std::panic::catch_unwind(|| {
        super::check_law("no_dump", strategies::script(1..=8), |script| {
            assert!(!script.operations.contains(&Operation::Dump), "it dumps");
            Ok::<_, String>(())
        });
    });
    let account = panic.unwrap_err().downcast::<String>();
    let account = account.expect("the account is a text");
    let expected = "no_dump does not hold\n\nit dumps\n\nthe smallest case, for `state_machine::replay`:\n{}\n\"dump\"\n\n";
    assert!(account.starts_with(expected), "{account}");
}

#[test]
#[should_panic(expected = r#"access: missing {"user":1,"#)]
fn a_counterexample_is_replayed() {
    let script = r#"{}
        {"edit":{"grant_access":{"user":1,"entity":{"type":"deal","id":21}}}}"#;
    super::replay(&InMemory, script);
    super::replay(&Forgetful, script);
}
