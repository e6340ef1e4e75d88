//! What a port serves, as the accept loop and a connection need it.

use std::error::Error;
use std::net::IpAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

/// Where a connection comes from; `None` when that is not known.
pub type Peer = Option<IpAddr>;

/// Where a request comes from, as the port noted it in the request's extensions.
pub fn peer_of(parts: &Parts) -> Peer {
    parts.extensions.get::<Peer>().copied().flatten()
}

/// The body of an answer.
pub trait Answer:
    Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + From<Bytes> + Send + 'static
{
}

impl<B> Answer for B where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + From<Bytes> + Send + 'static
{
}

/// Answers every request, and never fails: an error is an answer too.
pub trait Serve<B: Answer>: Clone + Send + Sync + 'static {
    /// The answer to one request of a connection.
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
    B: Answer,
{
    fn serve(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<B>> + Send + 'static + use<F, R, B> {
        self(request, peer)
    }
}
