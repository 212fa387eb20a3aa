//! Draws the cases of a property, and says how to repeat them.

use std::env;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::model::Script;

/// How many cases are drawn, unless the environment says otherwise.
const CASES: u32 = 64;

/// Checks a law, which bears the name of its test, on drawn scripts.
///
/// # Panics
/// If it does not hold: with the smallest script that shows it, and how to draw the same again.
#[track_caller]
pub(super) fn check<E: Display>(
    law: &str,
    scripts: impl Strategy<Value = Script>,
    test: impl Fn(&Script) -> Result<(), E>,
) {
    let config = config();
    let (seed, cases) = (config.rng_seed, config.cases);
    let test = |script| test(&script).map_err(|problem| TestCaseError::fail(problem.to_string()));
    match TestRunner::new(config).run(&scripts, test) {
        Ok(()) => {}
        Err(TestError::Fail(reason, script)) => panic!(
            "{law} does not hold\n\n{reason}\n\nthe smallest case, for `state_machine::replay`:\n{script}\n\n\
             the same cases again: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases} cargo test {law}"
        ),
        Err(TestError::Abort(reason)) => panic!("{law} was given up: {reason}"),
    }
}

fn config() -> Config {
    let given = Config::default();
    Config {
        cases: if env::var_os("PROPTEST_CASES").is_some() {
            given.cases
        } else {
            CASES
        },
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
