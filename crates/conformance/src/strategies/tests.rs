use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem::discriminant;

use crm_chat_domain::{Answer, EntityKind, Outcome, OwnerChange, Rule};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::model::{Model, Verdict, deciding, difference, parse};

/// Draws the same values on every run.
fn samples<S: Strategy>(strategy: &S, number: usize) -> impl Iterator<Item = S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..number).map(move |_| {
        let tree = strategy.new_tree(&mut runner);
        tree.expect("these strategies reject nothing").current()
    })
}

/// What became of an answer, by a name.
fn ending(answer: &Answer) -> String {
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
fn every_ending_is_drawn_and_many_removals_succeed() {
    const SAMPLES: usize = 2000;
    let mut endings = BTreeMap::<String, usize>::new();
    let mut deciders = BTreeSet::new();
    for (world, call) in samples(&world_and_call(), SAMPLES) {
        let answer =
            parse(&call.request).and_then(|removal| Model::new(world).answer(call.actor, &removal));
        deciders.extend(deciding(&answer));
        *endings.entry(ending(&answer)).or_default() += 1;
    }
    assert!(
        Rule::ALL.iter().all(|rule| deciders.contains(rule)),
        "some rule never decides: {endings:?}"
    );
    let refusals = Rule::ALL.len() - 1;
    assert_eq!(endings.len(), refusals + 5, "{endings:?}");
    let rarest = endings.values().min().copied().unwrap_or_default();
    assert!(rarest >= 10, "{endings:?}");
    let removed = endings.iter().filter(|(name, _)| name.starts_with("removed"));
    let removed: usize = removed.map(|(_, number)| number).sum();
    assert!(removed * 3 >= SAMPLES, "{endings:?}");
}

/// A rule that were asked too early or too late would go unseen if it never failed together with its neighbour.
#[test]
fn rules_fail_together_with_those_beside_them() {
    let mut together = BTreeSet::new();
    for (world, call) in samples(&world_and_call(), 4000) {
        let explained = Model::new(world).explain(call.actor, &call.request);
        let failing = explained.verdicts.iter();
        let failing = failing.filter(|(_, verdict)| matches!(verdict, Verdict::Fails(_)));
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
    for world in samples(&world(), 1000) {
        assert_eq!(world.validate(), Ok(()), "{:?}", Model::new(world));
    }
}

#[test]
fn every_edit_is_drawn_and_every_rejection() {
    let strategy = world().prop_flat_map(|world| {
        let edit = edit(&world);
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

/// Of each sort of large ids, two are the same once they are cut to 32 bits, and two once they are rounded to a float.
#[test]
fn large_ids_are_alike_to_who_mistakes_them() {
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
        #[expect(clippy::cast_precision_loss, reason = "it is what is lost")]
        let distinct: BTreeSet<_> = rounded.iter().map(|id| (*id as f64).to_bits()).collect();
        assert!(distinct.len() < rounded.len(), "{rounded:?}");
    }
}

#[test]
fn every_script_can_be_read_back_and_leaves_a_valid_world() {
    for script in samples(&script(1..=8), 200) {
        assert_eq!(script.to_string().parse(), Ok(script.clone()));
        let mut model = Model::new(script.world.clone());
        for operation in &script.operations {
            model.perform(operation);
        }
        assert_eq!(model.world().validate(), Ok(()), "{script}");
    }
}
