//! The guide, as under `docs/` in the repository.

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/credentials.md")]
pub mod credentials {}
