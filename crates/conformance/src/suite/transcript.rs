//! Renders the steps of a case as Rust that can be pasted into a test.

use std::fmt::Write as _;

use crm_chat_domain::{Edit, IfAbsent, Removal, Request, Snapshot, UserId};

use crate::doubles::Fault;
use crate::model::{Model, RemovalCall};

/// Renders the statements that open a store holding `world`.
pub(super) fn set_up(world: &Snapshot) -> String {
    let world = Model::new(world.clone());
    format!(
        "let world = world(r#\"{world:?}\"#);\n\
         let fixture = harness.set_up(&world).await;\n\
         let store = harness.connect(&fixture).await;\n\
         let observer = harness.connect(&fixture).await;\n"
    )
}

/// Renders a removal as an expression.
pub(super) fn removal(removal: &Removal) -> String {
    let mut text = format!("Removal::new(entity(\"{}\"), {})", removal.entity, user(removal.user));
    if let Some(chat) = removal.chat {
        // Writing to a string does not fail.
        let _ = write!(text, ".in_chat(chat({}))", chat.get());
    }
    if removal.if_absent == IfAbsent::Accept {
        text.push_str(".if_absent(IfAbsent::Accept)");
    }
    text
}

/// Renders a request as an expression.
pub(super) fn request(request: &Request) -> String {
    let call = RemovalCall { actor: UserId::MIN, request: request.clone() };
    // `Request` can only be parsed. A call can be serialized, with the actor as an extra field.
    let json = serde_json::to_value(call).map(|mut call| {
        call.as_object_mut().map(|call| call.remove("actor"));
        call
    });
    format!("request(r#\"{}\"#)", json.unwrap_or_default())
}

/// Renders a call of `remove_user`, without awaiting it.
pub(super) fn remove_user(actor: UserId, request: &Removal) -> String {
    format!("remove_user(&store, {}, &{})", user(actor), removal(request))
}

/// Renders a call of `remove_users`.
pub(super) fn remove_users(requests: &[(UserId, Removal)]) -> String {
    let pair =
        |(actor, request): &(UserId, Removal)| format!("({}, {})", user(*actor), removal(request));
    let list: Vec<_> = requests.iter().map(pair).collect();
    format!("remove_users(&store, &[{}]).await", list.join(", "))
}

/// Renders a call of `explain`.
pub(super) fn explain(actor: UserId, untrusted: &Request) -> String {
    format!("explain(&store, {}, &{}).await", user(actor), request(untrusted))
}

/// Renders an edit made through the harness.
pub(super) fn edit(edit: &Edit) -> String {
    let json = serde_json::to_string(edit).unwrap_or_default();
    format!("harness.edit(&observer, &edit(r#\"{json}\"#)).await")
}

/// Renders the injection of a fault at the `n`-th port call.
pub(super) fn inject(n: usize, fault: &Fault) -> String {
    let fault = match fault {
        Fault::Before(kind) => format!("Before(StoreErrorKind::{kind:?})"),
        Fault::After(kind) => format!("After(StoreErrorKind::{kind:?})"),
        Fault::StallBefore(_) => "StallBefore(Gate::default())".to_owned(),
        Fault::StallAfter(_) => "StallAfter(Gate::default())".to_owned(),
    };
    format!("store.inject({n}, Fault::{fault});")
}

fn user(id: UserId) -> String {
    format!("user({})", id.get())
}
