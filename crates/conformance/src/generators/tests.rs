use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem::discriminant;

use crm_chat_domain::{Answer, EntityKind, Outcome, OwnerChange, Rule};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::model::{Model, ModelVerdict, deciding, difference, parse};

/// Draws samples, the same on every run.
fn samples<S: Strategy>(strategy: &S, number: usize) -> impl Iterator<Item = S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..number).map(move |_| {
        let tree = strategy.new_tree(&mut runner);
        tree.expect("the strategy rejects nothing").current()
    })
}

/// Names the outcome of an answer.
fn outcome(answer: &Answer) -> String {
    match answer {
        Ok(Outcome::Removed(change)) => match change.owner {
            OwnerChange::Unchanged => "removed".to_owned(),
            OwnerChange::PassesTo(_) => "removed, owner passes".to_owned(),
            OwnerChange::Vacant => "removed, vacant".to_owned(),
        },
        Ok(Outcome::AlreadyAbsent { .. }) => "already absent".to_owned(),
        Ok(Outcome::NoChat) => "no chat".to_owned(),
        Err(refusal) => format!("rule {}", refusal.rule().number()),
    }
}

#[test]
fn every_outcome_is_drawn_and_a_third_of_removals_succeed() {
    const SAMPLES: usize = 2000;
    let mut outcomes = BTreeMap::<String, usize>::new();
    let mut deciders = BTreeSet::new();
    for (world, call) in samples(&arb_world_and_call(), SAMPLES) {
        let answer =
            parse(&call.request).and_then(|removal| Model::new(world).answer(call.actor, &removal));
        deciders.extend(deciding(&answer));
        *outcomes.entry(outcome(&answer)).or_default() += 1;
    }
    assert!(
        Rule::ALL.iter().all(|rule| deciders.contains(rule)),
        "some rule never decides: {outcomes:?}"
    );
    let refusals = Rule::ALL.len() - 1;
    assert_eq!(outcomes.len(), refusals + 5, "{outcomes:?}");
    let rarest = outcomes.values().min().copied().unwrap_or_default();
    assert!(rarest >= 10, "{outcomes:?}");
    let removed = outcomes.iter().filter(|(name, _)| name.starts_with("removed"));
    let removed: usize = removed.map(|(_, number)| number).sum();
    assert!(removed * 3 >= SAMPLES, "{outcomes:?}");
}

/// A rule that is checked too early or too late would go unnoticed if it never failed together with
/// its neighbour.
#[test]
fn neighbouring_rules_fail_together() {
    let mut together = BTreeSet::new();
    for (world, call) in samples(&arb_world_and_call(), 4000) {
        let explained = Model::new(world).explain(call.actor, &call.request);
        let failing = explained.verdicts.iter();
        let failing = failing.filter(|(_, verdict)| matches!(verdict, ModelVerdict::Fails(_)));
        let failing: Vec<_> = failing.map(|(rule, _)| rule.number()).collect();
        together.extend(failing.windows(2).map(|pair| (pair[0], pair[1])));
    }
    let neighbours = [
        (1, 2),
        (2, 3),
        (3, 4),
        (4, 5),
        (5, 6),
        (6, 7),
        (7, 8),
        (7, 9),
        (9, 10),
        (10, 11),
        (11, 12),
    ];
    for pair in neighbours {
        assert!(together.contains(&pair), "{pair:?} is not among {together:?}");
    }
}

#[test]
fn every_world_is_valid() {
    for world in samples(&arb_world(), 1000) {
        assert_eq!(world.validate(), Ok(()), "{:?}", Model::new(world));
    }
}

#[test]
fn every_edit_and_every_rejection_is_drawn() {
    let strategy = arb_world().prop_flat_map(|world| {
        let edit = arb_edit(&world);
        (Just(world), edit)
    });
    let (mut changing, mut idle, mut rejections) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (world, edit) in samples(&strategy, 2000) {
        let mut model = Model::new(world.clone());
        match model.edit(&edit) {
            Err(rejection) => rejections.insert(discriminant(&rejection)),
            Ok(()) if difference(&world, model.world()).is_some() => {
                changing.insert(discriminant(&edit))
            }
            Ok(()) => idle.insert(discriminant(&edit)),
        };
    }
    assert_eq!((changing.len(), idle.len(), rejections.len()), (16, 16, 3));
}

/// Some large ids of each kind become equal when cut to 32 bits, and some when rounded to a float.
#[test]
fn large_ids_collide_when_cut_or_rounded() {
    let Ids { users, chats, entities } = Ids::large();
    let by_kind = |kind| {
        let of_kind = entities.iter().filter(move |entity| entity.kind == kind);
        of_kind.map(|entity| entity.id.get()).collect::<Vec<_>>()
    };
    let users: Vec<_> = users.iter().map(|id| id.get()).collect();
    let chats: Vec<_> = chats.iter().map(|id| id.get()).collect();
    for cut in [&users, &chats, &by_kind(EntityKind::Deal)] {
        let distinct: BTreeSet<_> = cut.iter().map(|id| id & 0xffff_ffff).collect();
        assert!(distinct.len() < cut.len(), "{cut:?}");
    }
    for rounded in [&users, &chats, &by_kind(EntityKind::Company)] {
        #[expect(clippy::cast_precision_loss, reason = "the loss is the point")]
        let distinct: BTreeSet<_> = rounded.iter().map(|id| (*id as f64).to_bits()).collect();
        assert!(distinct.len() < rounded.len(), "{rounded:?}");
    }
}

#[test]
fn every_script_round_trips_and_leaves_a_valid_world() {
    for script in samples(&arb_script(1..=8), 200) {
        assert_eq!(script.to_string().parse(), Ok(script.clone()));
        let mut model = Model::new(script.world.clone());
        for operation in &script.operations {
            model.perform(operation);
        }
        assert_eq!(model.world().validate(), Ok(()), "{script}");
    }
}
