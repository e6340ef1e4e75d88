//! What a token claims (RFC 7519, section 4.1), held against the rules.

use serde::Deserialize;

use super::super::Denied;

/// How far the clocks of issuer and operator may be apart, in seconds.
const LEEWAY: f64 = 60.0;

/// The claims that decide. A claim that is there twice is an error.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    /// Seconds since 1970, perhaps with a fraction. Without it a token would be valid for ever.
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// `now` is in seconds since 1970.
    pub(super) fn check(
        &self,
        issuer: &str,
        audiences: &[Box<str>],
        now: u64,
    ) -> Result<(), Denied> {
        let is_ours = |audience: &String| audiences.iter().any(|ours| **ours == **audience);
        let is_for_us = match &self.aud {
            Audience::One(audience) => is_ours(audience),
            Audience::Several(audiences) => audiences.iter().any(is_ours),
        };
        if self.iss != issuer || !is_for_us {
            return Err(Denied::OtherAudience);
        }
        // Exact until the year 285 million.
        let now = now as f64;
        if now >= self.exp + LEEWAY {
            return Err(Denied::Stale);
        }
        if self.nbf.is_some_and(|start| now < start - LEEWAY) {
            return Err(Denied::Future);
        }
        Ok(())
    }
}
