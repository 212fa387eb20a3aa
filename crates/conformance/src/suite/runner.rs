//! Runs one case on a thread of its own, with a timeout.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use crm_chat_domain::Snapshot;

use super::harness::Harness;
use super::transcript;

/// The description of a case: a law that every backend must obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The scenario that the case plays, such as `R5`. Several cases may play one scenario.
    pub id: &'static str,
    /// The name of the case's function and of its test.
    pub name: &'static str,
    /// The law, as one sentence.
    pub law: &'static str,
}

/// The context in which one case runs: its harness and its description.
///
/// A case receives it from [`run_case`] and opens its stores [from it](Self::open).
#[derive(Debug)]
pub struct TestContext<H> {
    harness: H,
    case: Case,
    steps: Sender<CaseStep>,
}

/// A step that a case reports, which restarts its timeout.
#[derive(Clone, Debug)]
pub(super) enum CaseStep {
    /// The case opened a store that holds a world.
    Opened(Snapshot),
    /// The case added a line to the transcript of that store.
    Recorded(String),
}

impl<H: Harness> TestContext<H> {
    /// Returns the harness.
    pub const fn harness(&self) -> &H {
        &self.harness
    }

    /// Returns the description of the case.
    pub const fn case(&self) -> Case {
        self.case
    }

    /// Reports a step to the thread that waits for the case.
    pub(super) fn report(&self, step: CaseStep) {
        // The receiver is gone once the case has timed out. It has failed by then.
        let _ = self.steps.send(step);
    }
}

/// Runs a case: one of the suite's, or your own.
///
/// ```
/// # use crm_chat_conformance::{Harness, by_own_methods};
/// # use crm_chat_domain::Snapshot;
/// # use crm_chat_memory::Memory;
/// # struct InMemory;
/// # impl Harness for InMemory {
/// #     type Fixture = Memory;
/// #     by_own_methods!(Memory);
/// #     async fn set_up(&self, world: &Snapshot) -> Memory {
/// #         let memory = Memory::new();
/// #         memory.load(world).await.unwrap();
/// #         memory
/// #     }
/// #     async fn connect(&self, fixture: &Memory) -> Memory {
/// #         fixture.clone()
/// #     }
/// # }
/// use crm_chat_conformance::fixtures::{after, change, office, removal};
/// use crm_chat_conformance::{Case, run_case};
/// use crm_chat_domain::OwnerChange;
///
/// let case = Case {
///     id: "X1",
///     name: "x1_bot_is_removed",
///     law: "a bot is removed like any other member",
/// };
/// run_case(InMemory, case, |cx| {
///     let store = cx.open(&office());
///     let change = change(20, OwnerChange::Unchanged);
///     store.assert_removed(&removal(20), &change);
///     store.assert_state(&after(&office(), &change));
/// });
/// ```
///
/// # Panics
/// If the backend breaks the law, with a report; or if the case takes no step for as long as the
/// harness's [timeout](Harness::case_timeout).
pub fn run_case<H: Harness>(harness: H, case: Case, run: fn(&TestContext<H>)) {
    let timeout = harness.case_timeout();
    let (steps, reported) = channel();
    let context = TestContext { harness, case, steps };
    // A case that blocks for ever cannot be stopped, so it runs on a thread that is left behind.
    let thread = thread::Builder::new().name(case.name.to_owned());
    let running = thread.spawn(move || run(&context)).expect("a thread can be started");
    let mut transcript = String::new();
    loop {
        match reported.recv_timeout(timeout) {
            Ok(CaseStep::Opened(world)) => transcript = transcript::set_up(&world),
            Ok(CaseStep::Recorded(line)) => transcript.extend([&line, "\n"]),
            // The sender is dropped with the context: the case has returned or panicked.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let why = "a lock was leaked, or two transactions wait for each other";
                let Case { id, law, .. } = case;
                panic!(
                    "{id}: {law}\n\n{transcript}\n\
                     expected: the case completes\n  actual: no step within {timeout:?}: {why}"
                )
            }
        }
    }
    if let Err(panic) = running.join() {
        resume_unwind(panic);
    }
}
