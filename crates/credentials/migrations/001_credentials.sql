-- The first schema of a file of credentials. Never edited after release: a change is a new
-- migration.

-- The key of all digests. The row is inserted when the file is created.
CREATE TABLE key (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

-- AUTOINCREMENT, because the id of a revoked credential must never be assigned again.
CREATE TABLE credentials (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('webhook', 'token')),
    user       INTEGER NOT NULL CHECK (user > 0),
    -- A JSON list of strings.
    scopes     TEXT    NOT NULL CHECK (json_type(scopes) = 'array'),
    -- Seconds since 1970-01-01T00:00:00Z.
    created_at INTEGER NOT NULL,
    expires_at INTEGER CHECK ((expires_at IS NULL) = (kind = 'webhook')),
    -- The digest of the secret: `lookup` finds the row, `tag` is compared in constant time.
    lookup     BLOB    NOT NULL UNIQUE CHECK (length(lookup) = 16),
    tag        BLOB    NOT NULL CHECK (length(tag) = 32)
) STRICT;
