//! Secrets.

use std::fmt::{self, Write};

use crm_chat_domain::StoreError;
use zeroize::Zeroizing;

use crate::random;

/// The secret of a newly issued credential. Only its digest is stored, so it is shown once.
///
/// A secret has 160 random bits, written as 40 lower-case hexadecimal digits, which need no
/// escaping in a URL. Its `Debug` output hides it, it does not implement `Display`, and its memory
/// is overwritten when it is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn random() -> Result<Self, StoreError> {
        let bytes: Zeroizing<[u8; 20]> = random("generate a secret")?;
        // Reserve the whole capacity: a growing string leaves copies of its contents behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
        for byte in bytes.iter() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    /// Returns the secret as text.
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
