//! The digest that tokens of an app are bound to in addition to its name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

/// Annotation of a WebhookApp; changing it revokes all tokens issued before.
pub const TOKEN_GENERATION: &str = "lenra.io/token-generation";

/// Length of the digest, in bytes: 128 bits, as a UID has.
const DIGEST_BYTES: usize = 16;

/// A digest of the app's UID and of the annotation [`TOKEN_GENERATION`]: the UID distinguishes the
/// app from an earlier one of the same name, the annotation revokes tokens. Always 22 characters,
/// because the length of a token is bounded. Empty if the app has neither.
pub fn instance(uid: Option<&str>, generation: Option<&str>) -> Box<str> {
    if uid.is_none() && generation.is_none() {
        return Box::default();
    }
    let mut text = uid.unwrap_or_default().to_owned();
    if let Some(generation) = generation {
        // UIDs contain no slash.
        text.push('/');
        text.push_str(generation);
    }
    let digest = digest(&SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..DIGEST_BYTES]).into()
}

#[cfg(test)]
mod tests {
    use super::instance;
    use std::collections::BTreeSet;

    #[test]
    fn each_uid_and_each_generation_is_another_instance_of_the_same_length() {
        let long = "é".repeat(256 * 1024);
        let longer = format!("{long}1");
        let generations = [None, Some(""), Some("1"), Some("2"), Some(&*long), Some(&*longer)];
        let uids = [None, Some("2b3c4d5e-0000-4000-8000-000000000000"), Some("another")];
        let all: BTreeSet<_> = uids
            .iter()
            .flat_map(|uid| generations.map(|generation| instance(*uid, generation)))
            .collect();
        assert_eq!(all.len(), uids.len() * generations.len());
        assert!(all.iter().all(|instance| matches!(instance.len(), 0 | 22)));
        assert_eq!(&*instance(None, None), "");
    }
}
