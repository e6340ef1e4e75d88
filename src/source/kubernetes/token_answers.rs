//! What the API server said of tokens, believed for a while. Refusals have room of their own: a flood of bad tokens must
//! not take the place of good ones.

use std::time::Duration;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::remembered::Remembered;
use crate::source::StoreError;

/// How long a refusal is believed: a token that has just become valid is refused no longer than this.
const REFUSED: Duration = Duration::from_secs(10);

/// A token's SHA-256: tokens themselves are not kept.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// Answers by token; an answer says whose it is.
pub struct TokenAnswers<A> {
    accepted: Remembered<Digest, A>,
    refused: Remembered<Digest, ()>,
}

impl<A: Clone> TokenAnswers<A> {
    /// Nothing yet; an accepted token is believed for `lifetime`.
    pub fn new(lifetime: Duration) -> Self {
        Self { accepted: Remembered::new(lifetime), refused: Remembered::new(REFUSED) }
    }

    /// The answer about a token: a remembered one, or that of `review`, which is then remembered.
    ///
    /// # Errors
    /// Those of `review`. They are not remembered.
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
