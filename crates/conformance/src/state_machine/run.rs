//! Draws the cases of a property, and says how to repeat them.

use std::env;
use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

/// Checks a property on drawn values; `cases` of them, unless the environment says otherwise.
#[track_caller]
pub(super) fn for_all<S: Strategy, E: Display>(
    law: &str,
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), E>,
) {
    // A case is quick, and a world has many parts to leave out.
    let most = Config::default().max_shrink_iters;
    let most = if most == u32::MAX { 100_000 } else { most };
    run(law, cases, most, strategy, test);
}

/// Checks a property of which a failure cannot be repeated.
#[track_caller]
pub(super) fn for_all_unshrunk<S: Strategy, E: Display>(
    law: &str,
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), E>,
) {
    run(law, cases, 0, strategy, test);
}

#[track_caller]
fn run<S: Strategy, E: Display>(
    law: &str,
    cases: u32,
    max_shrink_iters: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), E>,
) {
    let from_environment = Config::default();
    let cases = match env::var_os("PROPTEST_CASES") {
        Some(_) => from_environment.cases,
        None => cases,
    };
    let seed = match from_environment.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(law),
    };
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..from_environment
    });
    let test = |value| test(value).map_err(|problem| TestCaseError::fail(problem.to_string()));
    match runner.run(&strategy, test) {
        Ok(()) => {}
        Err(TestError::Fail(reason, smallest)) => {
            panic!("{}", account(law, &reason, &smallest, seed, cases))
        }
        Err(TestError::Abort(reason)) => panic!("{law}: gave up: {reason}"),
    }
}

fn account(
    law: &str,
    reason: &dyn Display,
    smallest: &impl Debug,
    seed: u64,
    cases: u32,
) -> String {
    format!(
        "{law} does not hold\n\n{reason}\n\nsmallest case, for `state_machine::replay`:\n{smallest:?}\n\n\
         the same cases again: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases} cargo test {law}"
    )
}
