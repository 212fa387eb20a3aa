//! The single changes.

use crm_chat_domain::snapshot::{EditError, EditRejection, Link};
use crm_chat_domain::{ChatId, Edit, UserId};
use crm_chat_sqlite_file::failed;
use rusqlite::{Connection, Params, params};

use crate::value::user_kind;

/// Makes a single change.
pub(crate) fn apply(connection: &Connection, edit: &Edit) -> Result<(), EditError> {
    make(&Store(connection), edit).map_err(|stop| match stop {
        Stop::Rejected(rejection) => rejection.into(),
        Stop::Failed(error) => failed("make a single change")(error).into(),
    })
}

enum Stop {
    Rejected(EditRejection),
    Failed(rusqlite::Error),
}

impl From<EditRejection> for Stop {
    fn from(rejection: EditRejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

fn make(store: &Store<'_>, edit: &Edit) -> Result<(), Stop> {
    match *edit {
        Edit::AddUser(user) => store.write(
            "INSERT INTO users (id, active, kind) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET active = ?2, kind = ?3",
            params![user.id.get(), user.active, user_kind(user.kind)],
        ),
        Edit::ActivateUser { user } => store.set_active(user, true),
        Edit::DeactivateUser { user } => store.set_active(user, false),
        Edit::AddChat { chat } => {
            store.write("INSERT INTO chats (id) VALUES (?1) ON CONFLICT DO NOTHING", [chat.get()])
        }
        // Its members, links and removers go by ON DELETE CASCADE.
        Edit::DeleteChat { chat } => store.write("DELETE FROM chats WHERE id = ?1", [chat.get()]),
        Edit::Join { chat, user } => store.join(chat, user),
        Edit::Leave { chat, user } => store.leave(chat, user),
        Edit::SetOwner { chat, user } => store.set_owner(chat, user),
        Edit::ClearOwner { chat } => {
            store.known(chat)?;
            store.write("UPDATE chats SET owner = NULL WHERE id = ?1", [chat.get()])
        }
        Edit::Link(link) => store.link(link),
        Edit::Unlink(link) => store.unlink(link),
        Edit::GrantAccess(access) => store.write(
            "INSERT INTO access (user, kind, entity) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![access.user.get(), access.entity.kind.as_str(), access.entity.id.get()],
        ),
        Edit::RevokeAccess(access) => store.write(
            "DELETE FROM access WHERE user = ?1 AND kind = ?2 AND entity = ?3",
            params![access.user.get(), access.entity.kind.as_str(), access.entity.id.get()],
        ),
        Edit::GrantRemoval(remover) => {
            store.known(remover.chat)?;
            store.write(
                "INSERT INTO removers (user, chat) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                [remover.user.get(), remover.chat.get()],
            )
        }
        Edit::RevokeRemoval(remover) => store.write(
            "DELETE FROM removers WHERE user = ?1 AND chat = ?2",
            [remover.user.get(), remover.chat.get()],
        ),
        Edit::SetMessenger { installed } => {
            store.write("UPDATE settings SET messenger_installed = ?1", [installed])
        }
    }
}

struct Store<'a>(&'a Connection);

impl Store<'_> {
    fn affected(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.0.prepare_cached(sql)?.execute(params)
    }

    fn write(&self, sql: &str, params: impl Params) -> Result<(), Stop> {
        self.affected(sql, params)?;
        Ok(())
    }

    fn known(&self, chat: ChatId) -> Result<(), Stop> {
        let mut known = self.0.prepare_cached("SELECT 1 FROM chats WHERE id = ?1")?;
        if known.exists([chat.get()])? {
            Ok(())
        } else {
            Err(EditRejection::UnknownChat(chat).into())
        }
    }

    fn set_active(&self, user: UserId, active: bool) -> Result<(), Stop> {
        let sql = "UPDATE users SET active = ?2 WHERE id = ?1";
        match self.affected(sql, params![user.get(), active])? {
            0 => Err(EditRejection::UnknownUser(user).into()),
            _ => Ok(()),
        }
    }

    fn join(&self, chat: ChatId, user: UserId) -> Result<(), Stop> {
        self.known(chat)?;
        self.write(
            "INSERT INTO members (chat, user, position)
             SELECT ?1, ?2, coalesce(max(position), 0) + 1 FROM members WHERE chat = ?1
             ON CONFLICT (chat, user) DO NOTHING",
            [chat.get(), user.get()],
        )
    }

    fn leave(&self, chat: ChatId, user: UserId) -> Result<(), Stop> {
        let ids = [chat.get(), user.get()];
        self.write("UPDATE chats SET owner = NULL WHERE id = ?1 AND owner = ?2", ids)?;
        self.write("DELETE FROM members WHERE chat = ?1 AND user = ?2", ids)
    }

    fn set_owner(&self, chat: ChatId, user: UserId) -> Result<(), Stop> {
        self.known(chat)?;
        let sql = "UPDATE chats SET owner = ?2
            WHERE id = ?1 AND EXISTS (SELECT 1 FROM members WHERE chat = ?1 AND user = ?2)";
        match self.affected(sql, [chat.get(), user.get()])? {
            0 => Err(EditRejection::NotAMember { chat, user }.into()),
            _ => Ok(()),
        }
    }

    /// Makes a link the newest.
    fn link(&self, link: Link) -> Result<(), Stop> {
        self.known(link.chat)?;
        self.unlink(link)?;
        self.write(
            "INSERT INTO links (position, kind, entity, chat)
             SELECT coalesce(max(position), 0) + 1, ?1, ?2, ?3 FROM links",
            params![link.entity.kind.as_str(), link.entity.id.get(), link.chat.get()],
        )
    }

    fn unlink(&self, link: Link) -> Result<(), Stop> {
        self.write(
            "DELETE FROM links WHERE kind = ?1 AND entity = ?2 AND chat = ?3",
            params![link.entity.kind.as_str(), link.entity.id.get(), link.chat.get()],
        )
    }
}
