//! TokenReview and SubjectAccessReview requests to the API server.

use std::fmt::Debug;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{DEADLINE, call};
use super::client_permits::ClientPermits;
use crate::http::Peer;
use crate::source::{Right, StoreError, User};

/// Limits of concurrent reviews, in total and for one client. Any client that reaches a port can
/// send tokens.
const CONCURRENCY: usize = 16;
const CLIENT_CONCURRENCY: usize = 2;

/// Requests reviews from the API server.
pub struct Reviews {
    client: Client,
    permits: ClientPermits,
}

impl Reviews {
    /// Uses this client.
    pub fn new(client: Client) -> Self {
        Self { client, permits: ClientPermits::new(CONCURRENCY, CLIENT_CONCURRENCY) }
    }

    /// Authenticates a token that `client` presented, for an audience; without one, for the API
    /// server.
    pub async fn token(
        &self,
        token: &str,
        audience: Option<&str>,
        client: Peer,
    ) -> Result<TokenReviewStatus, StoreError> {
        let audiences = audience.map(|audience| vec![audience.to_owned()]);
        let spec = TokenReviewSpec { token: Some(token.into()), audiences };
        let review = TokenReview { spec, ..TokenReview::default() };
        Ok(self.create(&review, client).await?.status.unwrap_or_default())
    }

    /// Whether a user has a permission. `client` sent the request as that user.
    pub async fn access(
        &self,
        user: &User,
        right: &Right,
        client: Peer,
    ) -> Result<bool, StoreError> {
        let spec = access_spec(user.clone(), right.clone());
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        Ok(self.create(&review, client).await?.status.is_some_and(|status| status.allowed))
    }

    async fn create<K>(&self, review: &K, client: Peer) -> Result<K, StoreError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let busy = || StoreError::Unavailable("too many concurrent reviews".into());
        let _permit = self.permits.acquire(client, DEADLINE).await.ok_or_else(busy)?;
        let api: Api<K> = Api::all(self.client.clone());
        let response = call(api.create(&PostParams::default(), review)).await;
        response.map_err(|error| StoreError::Unavailable(error.to_string()))
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
        // Without a namespace it applies to all namespaces, without a name to all webhooks.
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
