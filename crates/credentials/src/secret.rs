//! The text that a caller presents.

use std::fmt::{self, Write};

use crm_chat_domain::StoreError;
use zeroize::Zeroizing;

use crate::random;

/// A secret just issued, to be shown once: only its digest is kept.
///
/// 40 lower-case hexadecimal digits, 160 random bits. It stands in a URL as it is. Its `Debug` hides it, it has no
/// `Display`, and its memory is overwritten when it is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn random() -> Result<Self, StoreError> {
        let bytes: Zeroizing<[u8; 20]> = random("make a secret")?;
        // Reserved at once, since a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
        for byte in bytes.iter() {
            // A string takes all that is written to it.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    /// Returns the secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
