//! What the server and its credentials must do.

mod credentials;
