//! Whether a request is from whom it claims: one machine, and a table of providers as its data.
//!
//! Pure: no client, no socket, no clock. [`Verifier::new`] makes an entry of `spec.verify` ready when
//! the configuration changes, and [`Verifiers::check`] asks it for each request, over the raw bytes.
//!
//! | question | file |
//! |---|---|
//! | what is known of a provider? | `provider.rs`, a row each |
//! | what is a row made of? | `scheme.rs`, `layout.rs`, `template.rs` |
//! | how is a signature checked? | `signature.rs`; a token: `token.rs`, `jwt/` |
//! | how would its sender sign a request? | `signature/sign.rs`, `proof.rs` |
//! | what does a provider ask before it sends? | `handshake.rs` |
//! | what becomes of secrets? | `secret.rs`, `key.rs` |
//!
//! Comparisons are constant-time in what is secret; how long a secret is may show. A signature, token
//! or timestamp header that is there twice is refused, as is one that is malformed in any part.

mod denied;
mod encoding;
mod entry;
mod form;
mod handshake;
mod header;
mod json;
pub mod jwt;
mod key;
mod layout;
mod message;
mod proof;
mod provider;
mod scheme;
mod secret;
mod secret_form;
mod signature;
mod template;
mod timestamp;
mod token;
mod url;
mod verifier;

pub use denied::Denied;
pub use encoding::Encoding;
pub use entry::{Entry, EntryError};
pub use handshake::{Handshake, cloud_events};
pub use key::Algorithm;
pub use layout::{Layout, MAX_ITEMS};
pub use proof::{CannotSign, Proof};
pub use provider::{Delivery, PROVIDERS, Provider};
pub use scheme::{Scheme, Signature, Source, Timestamp, Token, TokenForm};
pub use secret::{EmptySecret, Secret};
pub use secret_form::SecretForm;
pub use template::TemplateError;
pub use timestamp::DEFAULT_TOLERANCE;
pub use url::UrlForm;
pub use verifier::{Input, Verified, Verifier, Verifiers};
