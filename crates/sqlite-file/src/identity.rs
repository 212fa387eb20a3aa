//! Identities of files.

use std::fs::Metadata;
use std::io;
use std::path::Path;

/// A file as distinct from its path: what a path names may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl FileIdentity {
    /// Returns the identity of the file that a path leads to, through symbolic links.
    ///
    /// By `stat`: to open and close a database would drop the locks that SQLite holds on it.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self::from(&metadata))
    }
}

#[cfg(unix)]
impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Elsewhere every file is the same: Windows does not let an open database be replaced or deleted.
#[cfg(not(unix))]
impl From<&Metadata> for FileIdentity {
    fn from(_: &Metadata) -> Self {
        Self {}
    }
}
