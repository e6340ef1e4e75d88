//! Reviews that the API server makes: whose a token is, and what somebody may do.

use std::fmt::Debug;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::call::{DEADLINE, call};
use crate::source::{Right, StoreError, User};

/// How many reviews are asked for at once: tokens come from anybody who reaches a port.
const CONCURRENCY: usize = 16;

/// A token's SHA-256: tokens themselves are not kept.
pub type Digest = [u8; SHA256_OUTPUT_LEN];

/// Asks the API server for reviews.
pub struct Reviews {
    client: Client,
    permits: Semaphore,
}

impl Reviews {
    /// By way of this client.
    pub fn new(client: Client) -> Self {
        Self { client, permits: Semaphore::new(CONCURRENCY) }
    }

    /// Whose a token is that was made for an audience; without one, for the API server itself.
    pub async fn token(
        &self,
        token: &str,
        audience: Option<&str>,
    ) -> Result<TokenReviewStatus, StoreError> {
        let audiences = audience.map(|audience| vec![audience.to_owned()]);
        let spec = TokenReviewSpec { token: Some(token.into()), audiences };
        let review = TokenReview { spec, ..TokenReview::default() };
        Ok(self.create(&review).await?.status.unwrap_or_default())
    }

    /// Whether a user has a right.
    pub async fn access(&self, user: &User, right: &Right) -> Result<bool, StoreError> {
        let spec = access_spec(user.clone(), right.clone());
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        Ok(self.create(&review).await?.status.is_some_and(|status| status.allowed))
    }

    async fn create<K>(&self, review: &K) -> Result<K, StoreError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let busy = || StoreError::Unavailable("too many reviews are under way".into());
        let permit = timeout(DEADLINE, self.permits.acquire()).await;
        let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let api: Api<K> = Api::all(self.client.clone());
        let answer = call(api.create(&PostParams::default(), review)).await;
        answer.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

fn access_spec(user: User, right: Right) -> SubjectAccessReviewSpec {
    let User { name, uid, groups, extra } = user;
    let Right { verb, namespace, webhook } = right;
    let attributes = ResourceAttributes {
        group: Some("lenra.io".into()),
        resource: Some("webhooks".into()),
        subresource: Some("deliveries".into()),
        verb: Some(verb.name().into()),
        // No namespace is all of them, no name is any.
        namespace,
        name: webhook,
        ..ResourceAttributes::default()
    };
    SubjectAccessReviewSpec {
        user: Some(name),
        uid,
        groups: Some(groups),
        extra: Some(extra),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    }
}

/// What a token is remembered by.
pub fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}
