//! Verifies that a request comes from the provider that it claims: one generic verifier, driven by
//! a table of providers.
//!
//! Pure: no client, no socket, no clock. [`Verifier::new`] compiles an entry of `spec.verify` when
//! the configuration changes; [`Verifiers::check`] runs for each request, over the raw bytes.
//!
//! | topic | file |
//! |---|---|
//! | provider data | `provider.rs`, one row per provider |
//! | the types of a row | `scheme.rs`, `layout.rs`, `template.rs` |
//! | checking a signature | `signature.rs`; a token: `token.rs`, `jwt/` |
//! | signing a test request | `signature/sign.rs`, `proof.rs` |
//! | challenges of providers | `challenge.rs`; checks without a response: `unsigned_check.rs` |
//! | permission of CloudEvents senders | `cloud_events.rs` |
//! | ids of deliveries | `delivery_id.rs`; values in a body: `pointer.rs`, `json.rs` |
//! | public keys | `public_key.rs`, `spki.rs`; as JWK: `jwt/jwks.rs` |
//! | secrets in memory | `secret.rs`, `key.rs`; white space around them: `surrounding_blank.rs` |
//!
//! Secret bytes are compared in constant time; the length of a secret is not hidden. A repeated
//! signature, token or timestamp header is rejected, and so is one that is malformed in any part.

mod challenge;
mod cloud_events;
mod delivery_id;
mod denied;
mod encoding;
mod entry;
mod form;
mod header;
mod json;
pub mod jwt;
mod key;
mod layout;
mod message;
mod pointer;
mod position;
mod proof;
mod provider;
mod public_key;
mod scheme;
mod secret;
mod secret_form;
mod signature;
mod spki;
mod surrounding_blank;
mod template;
mod timestamp;
mod token;
mod unsigned_check;
mod url;
mod verifier;

pub use challenge::{
    Challenge, ChallengeCondition, ChallengeMethod, ChallengeProof, ChallengeResponse,
    ResponseMember,
};
pub use cloud_events::cloud_events;
pub use delivery_id::DeliveryId;
pub use denied::Denied;
pub use encoding::Encoding;
pub use entry::{Entry, EntryError, Metadata};
pub use key::Algorithm;
pub use layout::{Layout, MAX_ITEMS};
pub use position::Position;
pub use proof::{CannotSign, Proof};
pub use provider::{Delivery, PROVIDERS, Provider, ProviderResponse, Repeats};
pub use scheme::{Over, Scheme, Signature, Source, Timestamp, Token, TokenForm};
pub use secret::{EmptySecret, Secret};
pub use secret_form::SecretForm;
pub use surrounding_blank::SurroundingBlank;
pub use template::TemplateError;
pub use timestamp::{DEFAULT_TOLERANCE, TimestampFormat};
pub use unsigned_check::UnsignedCheck;
pub use url::UrlForm;
pub use verifier::{Input, Verified, Verifier, Verifiers};
