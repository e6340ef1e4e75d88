//! A cache of token reviews. Rejected tokens have a cache of their own, so that a flood of bad
//! tokens cannot displace good ones.

use std::time::Duration;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::remembered::Remembered;
use crate::source::StoreError;

/// How long a rejection is cached: a token that just became valid is rejected for at most this
/// long.
const REFUSED: Duration = Duration::from_secs(10);

/// The SHA-256 of a token. Tokens themselves are not stored.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// Review results by token.
pub struct TokenAnswers<A> {
    accepted: Remembered<Digest, A>,
    refused: Remembered<Digest, ()>,
}

impl<A: Clone> TokenAnswers<A> {
    /// An empty cache. Accepted tokens are cached for `lifetime`.
    pub fn new(lifetime: Duration) -> Self {
        Self { accepted: Remembered::new(lifetime), refused: Remembered::new(REFUSED) }
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
        if let Some(answer) = self.accepted.get(&digest) {
            return Ok(Some(answer));
        }
        if self.refused.get(&digest).is_some() {
            return Ok(None);
        }
        let answer = review.await?;
        match &answer {
            Some(answer) => self.accepted.insert(digest, answer.clone()),
            None => self.refused.insert(digest, ()),
        }
        Ok(answer)
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
        let answers = TokenAnswers::new(Duration::from_secs(30));
        let reviews = Cell::new(0);
        let ask = async |token: &str, answer: Result<Option<u32>, ()>| {
            let review = async {
                reviews.set(reviews.get() + 1);
                answer.map_err(|()| StoreError::Unavailable("down".into()))
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
