//! The guides, as under `docs/` in the repository.

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/rules.md")]
pub mod rules {}
