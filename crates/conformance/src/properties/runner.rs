//! Runs a law on random scripts, and reports a counterexample that can be repeated.

use std::env;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use super::minimise::minimise;
use crate::model::Script;
use crate::suite::panic_message;

/// The number of cases, unless the environment sets another.
const CASES: u32 = 64;

/// Checks a law, named after its test, on random scripts. This is the runner of the properties in
/// this module, for one of your own.
///
/// `PROPTEST_CASES` sets the number of cases, 64 by default. Proptest shrinks a script that fails,
/// and the script is then minimised until no part of it can be removed.
///
/// ```should_panic
/// use crm_chat_conformance::properties::check_law;
/// use crm_chat_conformance::generators::arb_script;
///
/// check_law("every_chat_is_empty", arb_script(1..=3), |script| {
///     let empty = script.world.chats.iter().all(|chat| chat.members.is_empty());
///     if empty { Ok(()) } else { Err("there is a member") }
/// });
/// // every_chat_is_empty does not hold
/// //
/// // there is a member
/// //
/// // the smallest case, for `properties::replay`:
/// // {"chats":[{"id":11,"owner":null,"members":[1]}]}
/// ```
///
/// # Panics
/// If the law does not hold, with the smallest script that shows it and the command that draws the
/// same cases.
#[track_caller]
pub fn check_law<E: Display>(
    law: &str,
    scripts: impl Strategy<Value = Script>,
    test: impl Fn(&Script) -> Result<(), E>,
) {
    let config = config();
    let (seed, cases) = (config.rng_seed, config.cases);
    let fails = |script: &Script| problem(script, &test);
    let run = |script| fails(&script).map_or(Ok(()), |problem| Err(TestCaseError::fail(problem)));
    match TestRunner::new(config).run(&scripts, run) {
        Ok(()) => {}
        Err(TestError::Fail(reason, script)) => {
            let script = minimise(script, |script| fails(script).is_some());
            // The minimised script may fail for a different reason. Report that one.
            let problem = fails(&script).unwrap_or_else(|| reason.to_string());
            panic!(
                "{law} does not hold\n\n{problem}\n\nthe smallest case, for `properties::replay`:\n{script}\n\n\
                 the same cases again: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases} cargo test {law}"
            )
        }
        Err(TestError::Abort(reason)) => panic!("{law} was aborted: {reason}"),
    }
}

/// Returns the description of a failure. A panic counts as one.
fn problem<E: Display>(
    script: &Script,
    test: &impl Fn(&Script) -> Result<(), E>,
) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| test(script))) {
        Ok(result) => result.err().map(|problem| problem.to_string()),
        Err(panic) => Some(panic_message(&*panic)),
    }
}

fn config() -> Config {
    let defaults = Config::default();
    Config {
        cases: if env::var_os("PROPTEST_CASES").is_some() { defaults.cases } else { CASES },
        // A case is fast, and a world has many parts to remove.
        max_shrink_iters: match defaults.max_shrink_iters {
            u32::MAX => 100_000,
            most => most,
        },
        rng_seed: match defaults.rng_seed {
            // Choose the random seed here, so that the report can name it.
            RngSeed::Random => RngSeed::Fixed(RandomState::new().hash_one(CASES)),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        // The seed and the script are printed. A library does not know where to keep a file.
        failure_persistence: None,
        ..defaults
    }
}
