//! The service interface between a port and its connections.

use std::error::Error;
use std::net::IpAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

/// The address of a connection's peer; `None` if it is unknown.
pub type Peer = Option<IpAddr>;

/// The peer of a request, from the request's extensions.
pub fn peer_of(parts: &Parts) -> Peer {
    parts.extensions.get::<Peer>().copied().flatten()
}

/// The body of a response.
pub trait ResponseBody:
    Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + From<Bytes> + Send + 'static
{
}

impl<B> ResponseBody for B where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + From<Bytes> + Send + 'static
{
}

/// Handles requests. It cannot fail: an error is a response as well.
pub trait Serve<B: ResponseBody>: Clone + Send + Sync + 'static {
    /// Handles one request of a connection.
    fn serve(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<B>> + Send + 'static + use<Self, B>;
}

impl<F, R, B> Serve<B> for F
where
    F: Fn(Request<Incoming>, Peer) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: ResponseBody,
{
    fn serve(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<B>> + Send + 'static + use<F, R, B> {
        self(request, peer)
    }
}
