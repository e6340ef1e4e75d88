//! Authenticates ServiceAccount tokens with TokenReview, and caches valid ones briefly.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use kube::Client;

use super::presented::{claims_audience, is_bearer_token};
use super::reviews::Reviews;
use super::token_cache::TokenCache;
use crate::http::Peer;
use crate::source::{Account, StoreError, TokenReviewer};

/// The audience that a token must have.
pub const AUDIENCE: &str = "webhook-operator";

/// How long a valid token is cached. A revoked token is accepted for at most this long.
const CACHE_TTL: Duration = Duration::from_secs(30);

/// Reviews tokens with the API server.
pub struct ServiceAccountTokens {
    reviews: Reviews,
    known: TokenCache<Account>,
}

impl ServiceAccountTokens {
    pub(super) fn new(client: Client) -> Self {
        Self { reviews: Reviews::new(client), known: TokenCache::new(CACHE_TTL) }
    }

    async fn account(&self, token: &str, client: Peer) -> Result<Option<Account>, StoreError> {
        // Tokens of ServiceAccounts are JWTs and contain their audience.
        if !is_bearer_token(token) || !claims_audience(token, AUDIENCE) {
            return Ok(None);
        }
        let review = async {
            let status = self.reviews.token(token, Some(AUDIENCE), client).await?;
            Ok(account(&status))
        };
        self.known.get_or_review(token, review).await
    }
}

impl TokenReviewer for ServiceAccountTokens {
    fn review<'a>(
        &'a self,
        token: &'a str,
        client: Peer,
    ) -> BoxFuture<'a, Result<Option<Account>, StoreError>> {
        self.account(token, client).boxed()
    }
}

/// The ServiceAccount of a review, if the token is valid for this audience.
fn account(status: &TokenReviewStatus) -> Option<Account> {
    // An API server that does not support audiences returns none: such a token may be for any
    // audience.
    let audiences = status.audiences.as_deref().unwrap_or_default();
    let is_valid = status.authenticated == Some(true) && audiences.iter().any(|a| a == AUDIENCE);
    let username = status.user.as_ref().filter(|_| is_valid)?.username.as_deref()?;
    let (namespace, name) = username.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    Some(Account { namespace: namespace.into(), name: name.into() })
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
    fn only_an_authenticated_service_account_of_this_audience_is_an_account() {
        let user = "system:serviceaccount:team-a:shop";
        let shop = Account { namespace: "team-a".into(), name: "shop".into() };
        assert_eq!(account(&status(true, &["other", AUDIENCE], user)), Some(shop));
        for refused in [
            status(false, &[AUDIENCE], user),
            status(true, &["other"], user),
            status(true, &[], user),
            status(true, &[AUDIENCE], "admin"),
            status(true, &[AUDIENCE], "system:serviceaccount:team-a"),
            TokenReviewStatus::default(),
        ] {
            assert_eq!(account(&refused), None, "{refused:?}");
        }
    }
}
