//! Forwards requests of the delivery API to the other replicas, so that every replica serves the
//! deliveries of all.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::DeliveryApi;
use crate::admin::error::AdminError;
use crate::peers::{PeerResponse, PeerResponses, Peers, Question, REPLICA};

/// The other replicas, and the request to forward to them with the caller's token. `None` if the
/// request comes from a replica, which queries all replicas itself.
pub struct OtherReplicas(Option<(Arc<Peers>, Question)>);

impl FromRequestParts<Arc<DeliveryApi>> for OtherReplicas {
    type Rejection = AdminError;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &Arc<DeliveryApi>,
    ) -> Result<Self, AdminError> {
        if parts.headers.contains_key(REPLICA) {
            return Ok(Self(None));
        }
        let Ok(OriginalUri(uri)) = OriginalUri::from_request_parts(parts, api).await;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let authorization = parts.headers.get(AUTHORIZATION).cloned();
        let question = Question::new(parts.method.clone(), path, authorization);
        Ok(Self(Some((api.peers.clone(), question))))
    }
}

impl OtherReplicas {
    /// Forwards the request and returns the responses.
    pub async fn responses(self) -> PeerResponses {
        match self.0 {
            Some((peers, question)) => peers.ask(&question).await,
            None => PeerResponses::default(),
        }
    }

    /// Adds a body to the request and sets its deadline.
    pub fn with_body(self, body: Bytes, deadline: Duration) -> Self {
        Self(self.0.map(|(peers, question)| (peers, Question { body, deadline, ..question })))
    }

    /// Returns the response of the replica that has the delivery.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if no replica has it; [`AdminError::ReplicaUnavailable`] if an
    /// unreachable replica may have it.
    pub async fn find(self) -> Result<Response, AdminError> {
        let PeerResponses { responses, unavailable } = self.responses().await;
        let response = responses
            .into_iter()
            .filter(|response| response.status != StatusCode::NOT_FOUND)
            .max_by_key(|response| response.status.is_success());
        match response {
            Some(response) => Ok(forward(response)),
            None if unavailable.is_empty() => Err(AdminError::NotFound),
            None => Err(AdminError::ReplicaUnavailable(unavailable)),
        }
    }
}

fn forward(response: PeerResponse) -> Response {
    let PeerResponse { status, location, body, .. } = response;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(location.map(|location| (LOCATION, location)));
    response
}

/// Adds the identity of this replica to responses to replicas. Rejects requests that this replica
/// has sent to itself, before they have an effect.
pub async fn identify_replica(
    State(peers): State<Arc<Peers>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(sender) = request.headers().get(REPLICA) else { return next.run(request).await };
    let mut response = match sender == peers.me() {
        true => AdminError::RequestLoop.into_response(),
        false => next.run(request).await,
    };
    response.headers_mut().insert(REPLICA, peers.me().clone());
    response
}

/// Rejects requests that do not come from a replica.
pub async fn require_replica(request: Request, next: Next) -> Response {
    match request.headers().contains_key(REPLICA) {
        true => next.run(request).await,
        false => AdminError::NotFound.into_response(),
    }
}
