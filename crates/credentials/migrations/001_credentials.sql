-- The first schema of a file of credentials. Never edited after release: what changes goes into a migration of its own.

-- What every digest is made with. Filled when the file is created.
CREATE TABLE key (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

-- AUTOINCREMENT, since the id of a revoked credential is never given to another.
CREATE TABLE credentials (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('webhook', 'token')),
    user       INTEGER NOT NULL CHECK (user > 0),
    -- A JSON list of strings.
    scopes     TEXT    NOT NULL CHECK (json_type(scopes) = 'array'),
    -- Seconds since 1970-01-01T00:00:00Z.
    created_at INTEGER NOT NULL,
    expires_at INTEGER CHECK ((expires_at IS NULL) = (kind = 'webhook')),
    -- The digest of the secret: one part finds the row, the other is compared.
    lookup     BLOB    NOT NULL UNIQUE CHECK (length(lookup) = 16),
    proof      BLOB    NOT NULL CHECK (length(proof) = 32)
) STRICT;
