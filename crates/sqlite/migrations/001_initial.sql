-- The first schema. Never edited after release: what changes goes into a migration of its own.

CREATE TABLE settings (
    only                INTEGER PRIMARY KEY CHECK (only = 1),
    messenger_installed INTEGER NOT NULL CHECK (messenger_installed IN (0, 1)),
    -- Names one numbering of the log: new with every load, and in every backup.
    epoch               TEXT    NOT NULL CHECK (length(epoch) = 32),
    -- Records numbered up to here may have been deleted from the log.
    pruned_through      INTEGER NOT NULL DEFAULT 0 CHECK (pruned_through >= 0)
) STRICT;

INSERT INTO settings (only, messenger_installed, epoch) VALUES (1, 1, lower(hex(randomblob(16))));

CREATE TABLE users (
    id     INTEGER PRIMARY KEY CHECK (id > 0),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    kind   TEXT    NOT NULL CHECK (kind IN ('human', 'bot', 'external'))
) STRICT;

-- An owner is a member. Deferred, since a removal deletes the member before it hands over the chat.
CREATE TABLE chats (
    id    INTEGER PRIMARY KEY CHECK (id > 0),
    owner INTEGER,
    FOREIGN KEY (id, owner) REFERENCES members (chat, user) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- Members need not be known users. `position` is the order in which they joined the chat.
CREATE TABLE members (
    chat     INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    user     INTEGER NOT NULL CHECK (user > 0),
    position INTEGER NOT NULL,
    PRIMARY KEY (chat, user)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX members_in_order ON members (chat, position);

-- `position` is the order in which all links were made: the highest of an entity is its last chat.
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

-- The log. A chat in it may be gone. AUTOINCREMENT, since the number of a deleted record is never
-- given to another.
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
