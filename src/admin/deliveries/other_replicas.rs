//! The other replicas behind the delivery API: what they have is shown as if it were here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::Deliveries;
use crate::admin::error::ApiError;
use crate::peers::{PeerResponse, PeerResponses, Peers, Question, REPLICA};

/// The other replicas, to be asked what this one is asked, by the same caller. Where a replica asks
/// there are none: it asks each by itself.
pub struct Others(Option<(Arc<Peers>, Question)>);

impl FromRequestParts<Arc<Deliveries>> for Others {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &Arc<Deliveries>,
    ) -> Result<Self, ApiError> {
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

impl Others {
    /// What each of them answers.
    pub async fn answers(self) -> PeerResponses {
        match self.0 {
            Some((peers, question)) => peers.ask(&question).await,
            None => PeerResponses::default(),
        }
    }

    /// The same, with a body, and longer time to do what it says.
    pub fn with(self, body: Bytes, deadline: Duration) -> Self {
        Self(self.0.map(|(peers, question)| (peers, Question { body, deadline, ..question })))
    }

    /// The answer of the one that has what is asked for.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] where all say that they do not have it; when some do not answer, it may be
    /// there: [`ApiError::ReplicaUnavailable`].
    pub async fn who_has_it(self) -> Result<Response, ApiError> {
        let PeerResponses { responses, unavailable } = self.answers().await;
        let answer = responses
            .into_iter()
            .filter(|answer| answer.status != StatusCode::NOT_FOUND)
            .max_by_key(|answer| answer.status.is_success());
        match answer {
            Some(answer) => Ok(forward(answer)),
            None if unavailable.is_empty() => Err(ApiError::NotFound),
            None => Err(ApiError::ReplicaUnavailable(unavailable)),
        }
    }
}

fn forward(answer: PeerResponse) -> Response {
    let PeerResponse { status, location, body, .. } = answer;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(location.map(|location| (LOCATION, location)));
    response
}

/// Says who answers to a replica that asks. One that asks itself is told so, before anything is done.
pub async fn between_replicas(
    State(peers): State<Arc<Peers>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(asker) = request.headers().get(REPLICA) else { return next.run(request).await };
    let mut response = match asker == peers.me() {
        true => ApiError::AskedItself.into_response(),
        false => next.run(request).await,
    };
    response.headers_mut().insert(REPLICA, peers.me().clone());
    response
}

/// Refuses what is not asked by a replica.
pub async fn only_from_replicas(request: Request, next: Next) -> Response {
    match request.headers().contains_key(REPLICA) {
        true => next.run(request).await,
        false => ApiError::NotFound.into_response(),
    }
}
