//! Authenticates and authorizes callers of the delivery API by API server reviews, with a short
//! cache.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use kube::Client;

use super::presented::{claims_audience, is_bearer_token};
use super::reviews::Reviews;
use super::token_cache::TokenCache;
use super::tokens::AUDIENCE;
use super::ttl_cache::TtlCache;
use crate::http::Peer;
use crate::source::{AccessReviewer, Right, StoreError, User};

/// How long a result is cached. A revoked token or permission is accepted for at most twice this.
const CACHE_TTL: Duration = Duration::from_secs(10);

/// Reviews callers with the API server.
pub struct Access {
    reviews: Reviews,
    users: TokenCache<User>,
    decisions: TtlCache<(User, Right), bool>,
}

impl Access {
    pub(super) fn new(client: Client) -> Self {
        Self {
            reviews: Reviews::new(client),
            users: TokenCache::new(CACHE_TTL),
            decisions: TtlCache::new(CACHE_TTL),
        }
    }

    async fn authenticate(&self, token: &str, client: Peer) -> Result<Option<User>, StoreError> {
        if !is_bearer_token(token) {
            return Ok(None);
        }
        // A token for this audience is useless elsewhere; users usually have one for the API
        // server.
        let audience = claims_audience(token, AUDIENCE).then_some(AUDIENCE);
        let review =
            async { Ok(user(self.reviews.token(token, audience, client).await?, audience)) };
        self.users.get_or_review(token, review).await
    }

    async fn authorize(
        &self,
        user: &User,
        right: &Right,
        client: Peer,
    ) -> Result<bool, StoreError> {
        let key = (user.clone(), right.clone());
        if let Some(allowed) = self.decisions.get(&key) {
            return Ok(allowed);
        }
        let allowed = self.reviews.access(user, right, client).await?;
        self.decisions.insert(key, allowed);
        Ok(allowed)
    }
}

impl AccessReviewer for Access {
    fn user<'a>(
        &'a self,
        token: &'a str,
        client: Peer,
    ) -> BoxFuture<'a, Result<Option<User>, StoreError>> {
        self.authenticate(token, client).boxed()
    }

    fn allows<'a>(
        &'a self,
        user: &'a User,
        right: &'a Right,
        client: Peer,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.authorize(user, right, client).boxed()
    }
}

/// The user of a review, if the token is valid for the requested audience.
fn user(status: TokenReviewStatus, audience: Option<&str>) -> Option<User> {
    let audiences = status.audiences.unwrap_or_default();
    let has_audience =
        audience.is_none_or(|audience| audiences.iter().any(|found| found == audience));
    let info = status.user.filter(|_| has_audience && status.authenticated == Some(true))?;
    // A user without a name cannot be authorized.
    let name = info.username.filter(|name| !name.is_empty())?;
    Some(User {
        name,
        uid: info.uid,
        groups: info.groups.unwrap_or_default(),
        extra: info.extra.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::authentication::v1::UserInfo;

    fn status(authenticated: bool, audiences: &[&str], username: &str) -> TokenReviewStatus {
        TokenReviewStatus {
            authenticated: Some(authenticated),
            audiences: Some(audiences.iter().map(ToString::to_string).collect()),
            user: Some(UserInfo { username: Some(username.into()), ..UserInfo::default() }),
            ..TokenReviewStatus::default()
        }
    }

    #[test]
    fn only_an_authenticated_token_of_the_requested_audience_has_a_user() {
        let name = |status, audience| user(status, audience).map(|user| user.name);
        let jane = Some("jane".to_owned());
        assert_eq!(name(status(true, &[AUDIENCE], "jane"), Some(AUDIENCE)), jane);
        assert_eq!(name(status(true, &["https://kubernetes"], "jane"), None), jane);
        assert_eq!(name(status(true, &[], "jane"), None), jane);
        for (refused, audience) in [
            (status(false, &[AUDIENCE], "jane"), Some(AUDIENCE)),
            (status(true, &["other"], "jane"), Some(AUDIENCE)),
            (status(true, &[], "jane"), Some(AUDIENCE)),
            (status(false, &[], "jane"), None),
            (status(true, &[], ""), None),
            (TokenReviewStatus::default(), None),
        ] {
            assert_eq!(name(refused.clone(), audience), None, "{refused:?}");
        }
    }
}
