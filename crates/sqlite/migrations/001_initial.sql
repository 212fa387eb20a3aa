-- The first schema of a store. Never edited after release: a change is a new migration.

CREATE TABLE settings (
    id                  INTEGER PRIMARY KEY CHECK (id = 1),
    messenger_installed INTEGER NOT NULL CHECK (messenger_installed IN (0, 1)),
    -- Identifies one numbering of the log. NULL in a backup that has not been opened yet: the first
    -- open begins an epoch, so that each restore of one backup has its own.
    epoch               TEXT    CHECK (length(epoch) = 32),
    -- Records numbered up to here may have been deleted from the log.
    pruned_through      INTEGER NOT NULL DEFAULT 0 CHECK (pruned_through >= 0)
) STRICT;

INSERT INTO settings (id, messenger_installed, epoch) VALUES (1, 1, lower(hex(randomblob(16))));

CREATE TABLE users (
    id     INTEGER PRIMARY KEY CHECK (id > 0),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    kind   TEXT    NOT NULL CHECK (kind IN ('human', 'bot', 'external'))
) STRICT;

-- An owner must be a member. The check is deferred, because a removal deletes the member before it
-- changes the owner.
CREATE TABLE chats (
    id    INTEGER PRIMARY KEY CHECK (id > 0),
    owner INTEGER,
    FOREIGN KEY (id, owner) REFERENCES members (chat, user) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- A member need not be in `users`. `position` is the order in which the members joined the chat.
CREATE TABLE members (
    chat     INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    user     INTEGER NOT NULL CHECK (user > 0),
    position INTEGER NOT NULL,
    PRIMARY KEY (chat, user)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX members_in_order ON members (chat, position);

-- `position` is the order in which all links were created. The last chat of an entity is the one
-- with the highest position.
CREATE TABLE links (
    position INTEGER PRIMARY KEY,
    kind     TEXT    NOT NULL CHECK (kind IN ('lead', 'deal', 'company', 'contact')),
    entity   INTEGER NOT NULL CHECK (entity > 0),
    chat     INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    UNIQUE (kind, entity, chat)
) STRICT;

CREATE INDEX links_in_order ON links (kind, entity, position);
CREATE INDEX links_of_chat ON links (chat);

CREATE TABLE access (
    user   INTEGER NOT NULL CHECK (user > 0),
    kind   TEXT    NOT NULL CHECK (kind IN ('lead', 'deal', 'company', 'contact')),
    entity INTEGER NOT NULL CHECK (entity > 0),
    PRIMARY KEY (user, kind, entity)
) STRICT, WITHOUT ROWID;

CREATE TABLE removers (
    user INTEGER NOT NULL CHECK (user > 0),
    chat INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    PRIMARY KEY (user, chat)
) STRICT, WITHOUT ROWID;

CREATE INDEX removers_of_chat ON removers (chat);

-- The removal log. Its chats may have been deleted. AUTOINCREMENT, because the number of a deleted
-- record must never be assigned again.
CREATE TABLE removals (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT CHECK (sequence > 0),
    chat        INTEGER NOT NULL CHECK (chat > 0),
    user        INTEGER NOT NULL CHECK (user > 0),
    actor       INTEGER NOT NULL CHECK (actor > 0),
    kind        TEXT    NOT NULL CHECK (kind IN ('lead', 'deal', 'company', 'contact')),
    entity      INTEGER NOT NULL CHECK (entity > 0),
    new_owner   INTEGER CHECK (new_owner > 0),
    recorded_at TEXT
) STRICT;
