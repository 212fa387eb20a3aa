//! Applying edits.

use crm_chat_domain::snapshot::{EditError, EditRejection, Link};
use crm_chat_domain::{ChatId, Edit, UserId};
use crm_chat_sqlite_file::ResultExt;
use rusqlite::{Connection, Params, params};

use crate::columns::user_kind;

/// Applies an edit in the open transaction.
///
/// If it is rejected or fails, the transaction must be rolled back.
pub(crate) fn apply(connection: &Connection, edit: &Edit) -> Result<(), EditError> {
    let writer = TableWriter(connection);
    match *edit {
        Edit::AddUser(user) => writer.write(
            "INSERT INTO users (id, active, kind) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET active = ?2, kind = ?3",
            params![user.id.get(), user.active, user_kind(user.kind)],
        ),
        Edit::ActivateUser { user } => writer.set_active(user, true),
        Edit::DeactivateUser { user } => writer.set_active(user, false),
        Edit::AddChat { chat } => {
            writer.write("INSERT INTO chats (id) VALUES (?1) ON CONFLICT DO NOTHING", [chat.get()])
        }
        // ON DELETE CASCADE deletes its members, its links and the rights to remove from it.
        Edit::DeleteChat { chat } => writer.write("DELETE FROM chats WHERE id = ?1", [chat.get()]),
        Edit::Join { chat, user } => writer.join(chat, user),
        Edit::Leave { chat, user } => writer.leave(chat, user),
        Edit::SetOwner { chat, user } => writer.set_owner(chat, user),
        Edit::ClearOwner { chat } => {
            writer.require_chat(chat)?;
            writer.write("UPDATE chats SET owner = NULL WHERE id = ?1", [chat.get()])
        }
        Edit::Link(link) => writer.link(link),
        Edit::Unlink(link) => writer.unlink(link),
        Edit::GrantAccess(access) => writer.write(
            "INSERT INTO access (user, kind, entity) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![access.user.get(), access.entity.kind.as_str(), access.entity.id.get()],
        ),
        Edit::RevokeAccess(access) => writer.write(
            "DELETE FROM access WHERE user = ?1 AND kind = ?2 AND entity = ?3",
            params![access.user.get(), access.entity.kind.as_str(), access.entity.id.get()],
        ),
        Edit::GrantRemoval(right) => {
            writer.require_chat(right.chat)?;
            writer.write(
                "INSERT INTO removers (user, chat) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                [right.user.get(), right.chat.get()],
            )
        }
        Edit::RevokeRemoval(right) => writer.write(
            "DELETE FROM removers WHERE user = ?1 AND chat = ?2",
            [right.user.get(), right.chat.get()],
        ),
        Edit::SetMessenger { installed } => {
            writer.write("UPDATE settings SET messenger_installed = ?1", [installed])
        }
    }
}

const OPERATION: &str = "apply an edit";

/// Runs the statements of edits.
struct TableWriter<'a>(&'a Connection);

impl TableWriter<'_> {
    /// Runs a statement and returns the number of affected rows.
    fn execute(&self, sql: &str, params: impl Params) -> Result<usize, EditError> {
        let mut statement = self.0.prepare_cached(sql).context(OPERATION)?;
        Ok(statement.execute(params).context(OPERATION)?)
    }

    fn write(&self, sql: &str, params: impl Params) -> Result<(), EditError> {
        self.execute(sql, params).map(drop)
    }

    /// Rejects the edit if a chat does not exist.
    fn require_chat(&self, chat: ChatId) -> Result<(), EditError> {
        let exists = self
            .0
            .prepare_cached("SELECT 1 FROM chats WHERE id = ?1")
            .and_then(|mut statement| statement.exists([chat.get()]))
            .context(OPERATION)?;
        if exists { Ok(()) } else { Err(EditRejection::UnknownChat(chat).into()) }
    }

    fn set_active(&self, user: UserId, active: bool) -> Result<(), EditError> {
        let sql = "UPDATE users SET active = ?2 WHERE id = ?1";
        match self.execute(sql, params![user.get(), active])? {
            0 => Err(EditRejection::UnknownUser(user).into()),
            _ => Ok(()),
        }
    }

    fn join(&self, chat: ChatId, user: UserId) -> Result<(), EditError> {
        self.require_chat(chat)?;
        self.write(
            "INSERT INTO members (chat, user, position)
             SELECT ?1, ?2, coalesce(max(position), 0) + 1 FROM members WHERE chat = ?1
             ON CONFLICT (chat, user) DO NOTHING",
            [chat.get(), user.get()],
        )
    }

    fn leave(&self, chat: ChatId, user: UserId) -> Result<(), EditError> {
        let ids = [chat.get(), user.get()];
        // An owner must be a member.
        self.write("UPDATE chats SET owner = NULL WHERE id = ?1 AND owner = ?2", ids)?;
        self.write("DELETE FROM members WHERE chat = ?1 AND user = ?2", ids)
    }

    fn set_owner(&self, chat: ChatId, user: UserId) -> Result<(), EditError> {
        self.require_chat(chat)?;
        let sql = "UPDATE chats SET owner = ?2
            WHERE id = ?1 AND EXISTS (SELECT 1 FROM members WHERE chat = ?1 AND user = ?2)";
        match self.execute(sql, [chat.get(), user.get()])? {
            0 => Err(EditRejection::NotAMember { chat, user }.into()),
            _ => Ok(()),
        }
    }

    /// Inserts a link as the newest, even if it exists already.
    fn link(&self, link: Link) -> Result<(), EditError> {
        self.require_chat(link.chat)?;
        self.unlink(link)?;
        self.write(
            "INSERT INTO links (position, kind, entity, chat)
             SELECT coalesce(max(position), 0) + 1, ?1, ?2, ?3 FROM links",
            params![link.entity.kind.as_str(), link.entity.id.get(), link.chat.get()],
        )
    }

    fn unlink(&self, link: Link) -> Result<(), EditError> {
        self.write(
            "DELETE FROM links WHERE kind = ?1 AND entity = ?2 AND chat = ?3",
            params![link.entity.kind.as_str(), link.entity.id.get(), link.chat.get()],
        )
    }
}
