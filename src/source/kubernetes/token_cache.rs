//! A cache of token reviews. Rejected tokens have a cache of their own, so that a flood of bad
//! tokens cannot displace good ones.

use std::time::Duration;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::ttl_cache::TtlCache;
use crate::source::StoreError;

/// How long a rejection is cached: a token that just became valid is rejected for at most this
/// long.
const REJECTED_TTL: Duration = Duration::from_secs(10);

/// The SHA-256 of a token. Tokens themselves are not stored.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// Review results by token.
pub struct TokenCache<A> {
    accepted: TtlCache<Digest, A>,
    rejected: TtlCache<Digest, ()>,
}

impl<A: Clone> TokenCache<A> {
    /// An empty cache. Accepted tokens are cached for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self { accepted: TtlCache::new(ttl), rejected: TtlCache::new(REJECTED_TTL) }
    }

    /// The cached result for a token, or that of `review`, which is then cached.
    ///
    /// # Errors
    /// The errors of `review`. They are not cached.
    pub async fn get_or_review(
        &self,
        token: &str,
        review: impl Future<Output = Result<Option<A>, StoreError>>,
    ) -> Result<Option<A>, StoreError> {
        let digest = digest_of(token);
        if let Some(result) = self.accepted.get(&digest) {
            return Ok(Some(result));
        }
        if self.rejected.get(&digest).is_some() {
            return Ok(None);
        }
        let result = review.await?;
        match &result {
            Some(result) => self.accepted.insert(digest, result.clone()),
            None => self.rejected.insert(digest, ()),
        }
        Ok(result)
    }
}

fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn both_answers_are_remembered_for_their_time_and_failures_are_not() {
        let answers = TokenCache::new(Duration::from_secs(30));
        let reviews = Cell::new(0);
        let ask = async |token: &str, result: Result<Option<u32>, ()>| {
            let review = async {
                reviews.set(reviews.get() + 1);
                result.map_err(|()| StoreError::Unavailable("down".into()))
            };
            answers.get_or_review(token, review).await.ok()
        };
        assert_eq!(ask("good", Err(())).await, None);
        assert_eq!(ask("good", Ok(Some(7))).await, Some(Some(7)));
        assert_eq!(ask("bad", Ok(None)).await, Some(None));
        assert_eq!(reviews.get(), 3);
        assert_eq!(ask("good", Ok(None)).await, Some(Some(7)));
        assert_eq!(ask("bad", Ok(Some(8))).await, Some(None));
        assert_eq!(reviews.get(), 3);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(ask("bad", Ok(Some(8))).await, Some(Some(8)));
        assert_eq!((ask("good", Ok(None)).await, reviews.get()), (Some(Some(7)), 4));
    }
}
