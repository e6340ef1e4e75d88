//! Asks the cluster whom a ServiceAccount token belongs to, and remembers a good answer briefly.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::call::{DEADLINE, call};
use crate::source::{Account, StoreError, TokenReviewer};

/// Whom a token must be made for.
const AUDIENCE: &str = "webhook-operator";

/// How many reviews are asked for at once: tokens come from anybody who reaches the app API.
const CONCURRENCY: usize = 16;

/// How long a good answer is believed; a revoked token works no longer than this.
const REMEMBERED: Duration = Duration::from_secs(30);

/// How many good answers are remembered.
const CAPACITY: usize = 1024;

/// A token's SHA-256: tokens themselves are not kept.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// Reviews tokens by asking the API server.
pub struct Tokens {
    api: Api<TokenReview>,
    permits: Semaphore,
    known: Mutex<HashMap<Digest, (Account, Instant)>>,
}

impl Tokens {
    pub(super) fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
            permits: Semaphore::new(CONCURRENCY),
            known: Mutex::default(),
        }
    }

    async fn account(&self, token: &str) -> Result<Option<Account>, StoreError> {
        if token.is_empty() {
            return Ok(None);
        }
        let digest = digest_of(token);
        if let Some(account) = self.remembered(&digest) {
            return Ok(Some(account));
        }
        let account = account(&self.ask(token).await?);
        if let Some(account) = &account {
            self.remember(digest, account.clone());
        }
        Ok(account)
    }

    async fn ask(&self, token: &str) -> Result<TokenReviewStatus, StoreError> {
        let busy = || StoreError::Unavailable("too many token reviews are under way".into());
        let permit = timeout(DEADLINE, self.permits.acquire()).await;
        let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let audiences = Some(vec![AUDIENCE.into()]);
        let spec = TokenReviewSpec { token: Some(token.into()), audiences };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = call(self.api.create(&PostParams::default(), &review)).await;
        let answer = answer.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(answer.status.unwrap_or_default())
    }

    fn remembered(&self, digest: &Digest) -> Option<Account> {
        let known = self.known();
        let (account, since) = known.get(digest)?;
        (since.elapsed() < REMEMBERED).then(|| account.clone())
    }

    fn remember(&self, digest: Digest, account: Account) {
        let mut known = self.known();
        if known.len() >= CAPACITY {
            known.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        }
        if known.len() < CAPACITY {
            known.insert(digest, (account, Instant::now()));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, (Account, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenReviewer for Tokens {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<Account>, StoreError>> {
        self.account(token).boxed()
    }
}

fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

/// The ServiceAccount of a review, where the token is valid and was made for this audience.
fn account(status: &TokenReviewStatus) -> Option<Account> {
    // An API server that knows no audiences answers without them: such a token may be anybody's.
    let audiences = status.audiences.as_deref().unwrap_or_default();
    let is_ours = status.authenticated == Some(true) && audiences.iter().any(|a| a == AUDIENCE);
    let username = status.user.as_ref().filter(|_| is_ours)?.username.as_deref()?;
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
