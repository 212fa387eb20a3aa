//! The four ports implemented by four types: tables of chats, a map of the CRM, a directory of
//! users, and a permission service.

use std::sync::Arc;

use crm_chat_domain::{
    Composed, Outcome, Removal, RemoveError, Store, StoreError, UserId, remove_user,
};
use tokio::sync::{Mutex, mpsc};

mod members;
mod services;

use members::{Members, Tables};
use services::{Crm, Directory, Rights};

struct App {
    tables: Arc<Mutex<Tables>>,
    crm: Crm,
    directory: Directory,
    rights: Rights,
}

impl Store for App {
    type Tx = Composed<Members, Crm, Directory, Rights>;

    async fn begin(&self) -> Result<Self::Tx, StoreError> {
        let tables = self.tables.clone().lock_owned().await;
        Ok(Composed {
            chats: Members {
                draft: tables.clone(),
                tables,
                // A successor is a member and a user, so the chats need access to the users too.
                directory: self.directory.clone(),
            },
            crm: self.crm.clone(),
            users: self.directory.clone(),
            permissions: self.rights.clone(),
        })
    }
}

async fn show(app: &App, actor: i64, user: i64) -> Result<(), Box<dyn std::error::Error>> {
    let removal = Removal::new("deal:288".parse()?, user.try_into()?);
    match remove_user(app, actor.try_into()?, &removal).await {
        Ok(Outcome::Removed(change)) => println!("user {user} left: {:?}", change.owner),
        Ok(outcome) => println!("nothing changed: {outcome:?}"),
        Err(RemoveError::Refused(refusal)) => println!("refused: {refusal}"),
        Err(RemoveError::Store(error)) => println!("failed: {}", error.report()),
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let id = UserId::try_from;
    let (owner, bot, member) = (id(12_i64)?, id(30_i64)?, id(7_i64)?);
    let (deal, chat) = ("deal:288".parse()?, "8773".parse()?);
    let tables = Tables {
        owners: [(chat, owner)].into(),
        members: [owner, bot, member].map(|user| (chat, user)).into(),
        ..Tables::default()
    };
    let users = [(owner, true), (bot, false), (member, true)];
    let (rights, questions) = mpsc::channel(1);
    let service = tokio::spawn(services::answer(questions));
    let app = App {
        tables: Arc::new(Mutex::new(tables)),
        crm: Crm(Arc::new([(deal, vec![chat])].into())),
        directory: Directory(Arc::new(users.into())),
        rights: Rights(rights),
    };

    show(&app, 2, 12).await?;
    show(&app, 1, 12).await?;
    service.abort();
    let _ = service.await;
    show(&app, 1, 7).await
}
