use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{Edit, LogEntry, Snapshot};
use crm_chat_memory::Memory;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use super::minimise::minimise;
use super::{Violation, backends_agree, matches_model};
use crate::model::{Operation, Script};
use crate::{Harness, by_own_methods, generators, property_tests};

pub(super) struct InMemory;

impl Harness for InMemory {
    type Fixture = Memory;
    by_own_methods!(Memory);

    async fn set_up(&self, world: &Snapshot) -> Memory {
        let memory = Memory::new();
        memory.load(world).await.expect("the world is valid");
        memory
    }

    async fn connect(&self, fixture: &Memory) -> Memory {
        fixture.clone()
    }
}

property_tests!(InMemory);

#[test]
fn backend_agrees_with_itself() {
    super::two_backends_agree(&InMemory, &InMemory);
}

/// A memory store that ignores every edit that grants access.
struct IgnoresGrants;

impl Harness for IgnoresGrants {
    type Fixture = Memory;
    type Store = Memory;

    async fn set_up(&self, world: &Snapshot) -> Memory {
        InMemory.set_up(world).await
    }

    async fn connect(&self, fixture: &Memory) -> Memory {
        InMemory.connect(fixture).await
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
fn smallest(test: impl Fn(&Script) -> Result<(), Violation>) -> Script {
    let config = Config {
        cases: 1000,
        max_shrink_iters: 10_000,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRunner::deterministic().new_rng();
    let fails = |script| test(&script).map_err(|error| TestCaseError::fail(error.to_string()));
    match TestRunner::new_with_rng(config, rng).run(&generators::arb_script(1..=12), fails) {
        Err(TestError::Fail(_, script)) => script,
        other => panic!("nothing was found: {other:?}"),
    }
}

#[test]
fn counterexample_is_one_operation_in_an_empty_world() {
    for script in [
        smallest(|script| matches_model(&IgnoresGrants, script)),
        smallest(|script| backends_agree(&InMemory, &IgnoresGrants, script)),
    ] {
        assert_eq!(script.operations.len(), 1, "{script}");
        assert_eq!(script.world, Snapshot::default(), "{script}");
    }
}

/// Proptest alone keeps a part that could only be removed after a later one. Minimised, every
/// script has one chat and one member left.
#[test]
fn minimised_script_needs_each_of_its_parts() {
    let has_member = |script: &Script| {
        let mut chats = script.world.chats.iter();
        chats.any(|chat| !chat.members.is_empty())
    };
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let tree = generators::arb_script(1..=4).new_tree(&mut runner);
        let script = tree.expect("the strategy rejects nothing").current();
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
fn panic_is_a_counterexample() {
    let panic = std::panic::catch_unwind(|| {
        super::check_law("no_dump", generators::arb_script(1..=8), |script| {
            assert!(!script.operations.contains(&Operation::Dump), "it dumps");
            Ok::<_, String>(())
        });
    });
    let report = panic.unwrap_err().downcast::<String>();
    let report = report.expect("the report is a string");
    let expected = "no_dump does not hold\n\nit dumps\n\nthe smallest case, for `properties::replay`:\n{}\n\"dump\"\n\n";
    assert!(report.starts_with(expected), "{report}");
}

#[test]
#[should_panic(expected = r#"access: missing {"user":1,"#)]
fn counterexample_can_be_replayed() {
    let script = r#"{}
        {"edit":{"grant_access":{"user":1,"entity":{"type":"deal","id":21}}}}"#;
    super::replay(&InMemory, script);
    super::replay(&IgnoresGrants, script);
}
