//! The guides, as under `docs/` in the repository.

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/scenarios.md")]
pub mod scenarios {}

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

// The first definition of a link wins: on docs.rs, `links.md` replaces the relative paths.
#[doc = include_str!("../docs/links.md")]
#[doc = include_str!("../docs/writing-a-backend.md")]
pub mod writing_a_backend {}
