//! Minimises a script that fails.
//!
//! Proptest shrinks each part of a script once, in turn, so a part stays if it could only be
//! removed after a later one. Here every part is tried again after each success.

use crm_chat_domain::{IfAbsent, Input, Snapshot};

use crate::model::{Operation, RemovalCall, Script};

/// Removes parts of a failing script until it needs every part that is left to fail.
pub(super) fn minimise(mut script: Script, fails: impl Fn(&Script) -> bool) -> Script {
    // A smaller script may be invalid, for example a link to a chat that was removed. Skip it.
    let valid = |smaller: &Script| smaller.world.validate().is_ok();
    while let Some(smaller) =
        smaller(&script).into_iter().find(|smaller| valid(smaller) && fails(smaller))
    {
        script = smaller;
    }
    script
}

/// Returns the script without each of its parts, one at a time.
fn smaller(script: &Script) -> Vec<Script> {
    let Script { world, operations } = script;
    let with_operations = |operations| Script { world: world.clone(), operations };
    let with_world = |world| Script { world, operations: operations.clone() };
    let fewer = without_each(operations).into_iter().map(with_operations);
    let simpler = (0..operations.len()).flat_map(|index| {
        simpler(&operations[index]).into_iter().map(move |simple| {
            let mut operations = operations.clone();
            operations[index] = simple;
            with_operations(operations)
        })
    });
    let worlds = smaller_worlds(world).into_iter().map(with_world);
    fewer.chain(simpler).chain(worlds).collect()
}

fn without_each<T: Clone>(list: &[T]) -> Vec<Vec<T>> {
    let without = |index: usize| {
        let mut list = list.to_vec();
        list.remove(index);
        list
    };
    (0..list.len()).map(without).collect()
}

fn simpler(operation: &Operation) -> Vec<Operation> {
    let simpler_calls = |call: &RemovalCall| {
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
            // A batch of one is a plain removal.
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
            // Remove what refers to the chat as well, or the world would be invalid.
            world.chats.retain(|known| known.id != chat.id);
            world.links.retain(|link| link.chat != chat.id);
            world.removers.retain(|remover| remover.chat != chat.id);
        });
    }
    for (index, chat) in world.chats.iter().enumerate() {
        if chat.owner.is_some() {
            push(&|world| world.chats[index].owner = None);
        }
        for member in &chat.members {
            push(&|world| {
                let chat = &mut world.chats[index];
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
