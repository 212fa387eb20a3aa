//! Draws the cases of a property, and says how to repeat them.

use std::env;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use super::minimise::minimise;
use crate::harness::panic_text;
use crate::model::Script;

/// How many cases are drawn, unless the environment says otherwise.
const CASES: u32 = 64;

/// Checks a law, which bears the name of its test, on drawn scripts: the runner of the properties here, for one of your own.
///
/// `PROPTEST_CASES` sets the number of cases, 64 by default. A script that fails is shrunk by proptest, and then loses
/// part after part until it needs each of those that are left to fail.
///
/// ```should_panic
/// use crm_chat_conformance::state_machine::check_law;
/// use crm_chat_conformance::strategies::script;
///
/// check_law("every_chat_is_empty", script(1..=3), |script| {
///     let empty = script.world.chats.iter().all(|chat| chat.members.is_empty());
///     if empty { Ok(()) } else { Err("there is a member") }
/// });
/// // every_chat_is_empty does not hold
/// //
/// // there is a member
/// //
/// // the smallest case, for `state_machine::replay`:
/// // {"chats":[{"id":11,"owner":null,"members":[1]}]}
/// ```
///
/// # Panics
/// If it does not hold: with the smallest script that shows it, and how to draw the same again.
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
            let problem = fails(&script).unwrap_or_else(|| reason.to_string());
            panic!(
                "{law} does not hold\n\n{problem}\n\nthe smallest case, for `state_machine::replay`:\n{script}\n\n\
                 the same cases again: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases} cargo test {law}"
            )
        }
        Err(TestError::Abort(reason)) => panic!("{law} was given up: {reason}"),
    }
}

/// What a test says against a script; a panic says something, too.
fn problem<E: Display>(
    script: &Script,
    test: &impl Fn(&Script) -> Result<(), E>,
) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| test(script))) {
        Ok(result) => result.err().map(|problem| problem.to_string()),
        Err(panic) => Some(panic_text(&*panic)),
    }
}

fn config() -> Config {
    let given = Config::default();
    Config {
        cases: if env::var_os("PROPTEST_CASES").is_some() { given.cases } else { CASES },
        // A case is quick, and a world has many parts to leave out.
        max_shrink_iters: match given.max_shrink_iters {
            u32::MAX => 100_000,
            most => most,
        },
        rng_seed: match given.rng_seed {
            RngSeed::Random => RngSeed::Fixed(RandomState::new().hash_one(CASES)),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        // The seed and the script are printed; a library knows no place for a file.
        failure_persistence: None,
        ..given
    }
}
