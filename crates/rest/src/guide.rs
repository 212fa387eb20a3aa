//! The guides, as under `docs/` in the repository.

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/rest.md")]
pub mod serving {}

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/clients.md")]
pub mod clients {}

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/operating.md")]
pub mod operating {}
