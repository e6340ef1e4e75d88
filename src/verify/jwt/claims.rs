//! The claims of a token (RFC 7519, section 4.1), checked against the rules.

use serde::Deserialize;

use super::super::Denied;

/// The accepted clock skew between issuer and operator, in seconds.
const LEEWAY: f64 = 60.0;

/// The claims that are checked. A repeated claim is an error.
#[derive(Deserialize)]
pub(super) struct JwtClaims {
    iss: String,
    aud: Audience,
    /// Seconds since 1970, possibly fractional. Required: without it a token would never expire.
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl JwtClaims {
    /// Checks issuer, audience and lifetime. `now` is in seconds since 1970.
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
        // Integers are exact in `f64` up to 2^53, here the year 285 million.
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
