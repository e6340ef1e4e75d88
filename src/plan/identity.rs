//! UUIDs derived from the identity key, so that they survive a restore.

use std::fmt;

use ring::hmac;
use uuid::Uuid;

use super::input::{Key, Kind};

/// The secret from which UUIDs and tokens are derived.
pub struct IdentityKey(hmac::Key);

impl IdentityKey {
    /// Length of the key, in bytes.
    pub const LEN: usize = 32;

    /// A key from stored bytes; `None` if they are fewer than [`Self::LEN`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::LEN).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// A new random key.
    ///
    /// # Errors
    /// The system's random generator fails.
    pub fn generate() -> Result<[u8; Self::LEN], ring::error::Unspecified> {
        let mut bytes = [0; Self::LEN];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)?;
        Ok(bytes)
    }

    /// The UUID of an object: version-4-shaped (RFC 9562, section 5.4), and the same for the same
    /// key.
    pub fn uuid(&self, kind: Kind, key: &Key) -> Uuid {
        let tag = self.tag(&[kind.as_str(), &key.namespace, &key.name]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&tag.as_ref()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A key for another purpose. It does not reveal this key.
    pub fn derive(&self, purpose: &str) -> hmac::Tag {
        self.tag(&["purpose", purpose])
    }

    fn tag(&self, parts: &[&str]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            // Each part is prefixed with its length, so that different lists of parts never encode
            // to the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> Key {
        Key { namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn a_uuid_depends_on_key_kind_namespace_and_name_and_has_the_shape_of_version_4() {
        let identity = IdentityKey::new(&[7; 32]).unwrap();
        let uuid = identity.uuid(Kind::Webhook, &key("a", "bc"));
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(uuid, IdentityKey::new(&[7; 32]).unwrap().uuid(Kind::Webhook, &key("a", "bc")));
        let others = [
            identity.uuid(Kind::WebhookApp, &key("a", "bc")),
            identity.uuid(Kind::Webhook, &key("ab", "c")),
            identity.uuid(Kind::Webhook, &key("a", "bd")),
            IdentityKey::new(&[8; 32]).unwrap().uuid(Kind::Webhook, &key("a", "bc")),
        ];
        assert!(others.iter().all(|other| *other != uuid));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(IdentityKey::new(&[7; 31]).is_none());
    }
}
