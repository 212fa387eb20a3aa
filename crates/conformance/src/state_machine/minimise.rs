//! The smallest script that still fails.
//!
//! Proptest shrinks each part of a script once, in turn; what could go only after a later part had gone stays. Here every
//! part is left out as often as it takes.

use crm_chat_domain::{IfAbsent, Input, Snapshot};

use crate::model::{Call, Operation, Script};

/// Leaves out of a script that fails part after part, until it needs each of those that are left to fail.
pub(super) fn minimise(mut script: Script, fails: impl Fn(&Script) -> bool) -> Script {
    let valid = |smaller: &Script| smaller.world.validate().is_ok();
    while let Some(smaller) =
        smaller(&script).into_iter().find(|smaller| valid(smaller) && fails(smaller))
    {
        script = smaller;
    }
    script
}

/// The script without each of its parts, one at a time.
fn smaller(script: &Script) -> Vec<Script> {
    let Script { world, operations } = script;
    let with_operations = |operations| Script { world: world.clone(), operations };
    let with_world = |world| Script { world, operations: operations.clone() };
    let fewer = without_each(operations).into_iter().map(with_operations);
    let simpler = (0..operations.len()).flat_map(|place| {
        simpler(&operations[place]).into_iter().map(move |simple| {
            let mut operations = operations.clone();
            operations[place] = simple;
            with_operations(operations)
        })
    });
    let worlds = smaller_worlds(world).into_iter().map(with_world);
    fewer.chain(simpler).chain(worlds).collect()
}

fn without_each<T: Clone>(list: &[T]) -> Vec<Vec<T>> {
    let without = |place: usize| {
        let mut list = list.to_vec();
        list.remove(place);
        list
    };
    (0..list.len()).map(without).collect()
}

fn simpler(operation: &Operation) -> Vec<Operation> {
    let simpler_calls = |call: &Call| {
        let mut calls = Vec::new();
        if call.request.chat_id != Input::Absent {
            let mut simple = call.clone();
            simple.request.chat_id = Input::Absent;
            calls.push(simple);
        }
        if call.request.if_absent != IfAbsent::default() {
            let mut simple = call.clone();
            simple.request.if_absent = IfAbsent::default();
            calls.push(simple);
        }
        calls
    };
    match operation {
        Operation::Remove(call) => {
            let calls = simpler_calls(call).into_iter();
            calls.map(Operation::Remove).collect()
        }
        Operation::Explain(call) => {
            let calls = simpler_calls(call).into_iter();
            calls.map(Operation::Explain).collect()
        }
        Operation::RemoveMany(calls) => match &calls[..] {
            [call] => vec![Operation::Remove(call.clone())],
            calls => {
                let fewer = without_each(calls).into_iter();
                fewer.map(Operation::RemoveMany).collect()
            }
        },
        Operation::Edit(_) | Operation::Dump => Vec::new(),
    }
}

fn smaller_worlds(world: &Snapshot) -> Vec<Snapshot> {
    let mut worlds = Vec::new();
    let mut push = |change: &dyn Fn(&mut Snapshot)| {
        let mut smaller = world.clone();
        change(&mut smaller);
        worlds.push(smaller);
    };
    if !world.messenger_installed {
        push(&|world| world.messenger_installed = true);
    }
    for chat in &world.chats {
        push(&|world| {
            world.chats.retain(|known| known.id != chat.id);
            world.links.retain(|link| link.chat != chat.id);
            world.removers.retain(|remover| remover.chat != chat.id);
        });
    }
    for (place, chat) in world.chats.iter().enumerate() {
        if chat.owner.is_some() {
            push(&|world| world.chats[place].owner = None);
        }
        for member in &chat.members {
            push(&|world| {
                let chat = &mut world.chats[place];
                chat.members.retain(|known| known != member);
                chat.owner = chat.owner.filter(|owner| owner != member);
            });
        }
    }
    for users in without_each(&world.users) {
        push(&|world| world.users.clone_from(&users));
    }
    for links in without_each(&world.links) {
        push(&|world| world.links.clone_from(&links));
    }
    for access in without_each(&world.access) {
        push(&|world| world.access.clone_from(&access));
    }
    for removers in without_each(&world.removers) {
        push(&|world| world.removers.clone_from(&removers));
    }
    for removals in without_each(&world.removals) {
        push(&|world| world.removals.clone_from(&removals));
    }
    worlds
}
