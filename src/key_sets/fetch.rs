//! One fetch of a key set: a GET with a timeout over a new connection.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::{Position, Url};

use super::lifetime::lifetime;
use crate::delivery::{ConnectError, Connector, ONE_OF_SEVERAL, OPERATOR};
use crate::resources::Scheme;
use crate::routes::{Host, NamedBy, Origin};
use crate::verify::jwt::{Jwks, JwksError};

/// Timeout of a fetch, from the lookup of the name to the last byte.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Timeout of the connection within [`LIMIT`]: lookup, TCP and TLS. Longer than [`ONE_OF_SEVERAL`],
/// so that a second address is tried if the first one does not respond.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);

const _: () = assert!(ONE_OF_SEVERAL.as_secs() < CONNECT_LIMIT.as_secs());
const _: () = assert!(CONNECT_LIMIT.as_secs() < LIMIT.as_secs());

/// Maximum size of a document, in bytes. The documents of large issuers have a tenth of it.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// Maximum size of the status line and headers of a response, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// A fetched set.
#[derive(Debug)]
pub struct Fetched {
    /// The keys.
    pub keys: Jwks,
    /// How long the set may be used: the lifetime set by the issuer, within this operator's bounds.
    pub lifetime: Duration,
}

/// Error of a fetch. Its text contains neither the path and query of the URL nor any part of the
/// response, since both may contain secrets.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is not valid in an HTTP request.
    #[error("invalid URL: {0}")]
    Url(#[from] http::Error),
    /// The connection could not be established.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was not established in time.
    #[error("no connection within {CONNECT_LIMIT:?}")]
    ConnectTimeout,
    /// The connection broke, or the response is not valid HTTP.
    #[error("no valid response: {0}")]
    Http(#[from] hyper::Error),
    /// The status is not 200. Redirects are not followed.
    #[error("the response status is {0}")]
    Status(StatusCode),
    /// The document exceeds [`MAX_DOCUMENT`].
    #[error("the document is longer than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// The connection broke while the document was read.
    #[error("cannot read the document: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
    /// The document is not a usable key set.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The fetch took too long.
    #[error("no response within {LIMIT:?}")]
    Timeout,
}

/// Fetches the key set of a URL. The scheme is assumed to be `https`.
///
/// # Security
/// A tenant chooses the URL (SSRF). The operator limits what a tenant can achieve with it:
///
/// - The request is a GET without credentials. It is sent only to a server with a certificate for
///   the URL's host name by a trusted authority; any other server sees at most a TLS client hello.
/// - The tenant learns nothing about the response except whether tokens are accepted.
/// - Each connect checks the resolved addresses ([`AddressPolicy`]): loopback, link-local,
///   multicast, unspecified, broadcast and metadata addresses are refused unless the operator's
///   flags allow them. Private networks are allowed, because an issuer may run in the cluster,
///   unless the flags deny them to URLs.
/// - Every status except 200 is an error, so redirects are not followed. Documents longer than
///   [`MAX_DOCUMENT`] are refused.
///
/// [`AddressPolicy`]: crate::plan::address::AddressPolicy
///
/// # Errors
/// See [`FetchError`].
pub async fn fetch(connector: &Connector, url: &Url) -> Result<Fetched, FetchError> {
    timeout(LIMIT, get(connector, url)).await.unwrap_or(Err(FetchError::Timeout))
}

async fn get(connector: &Connector, url: &Url) -> Result<Fetched, FetchError> {
    let request = request(url)?;
    let origin = origin(url);
    let connected = timeout(CONNECT_LIMIT, connector.connect(&origin)).await;
    let stream = connected.map_err(|_| FetchError::ConnectTimeout)??;
    let builder = http1::Builder::new().max_header_size(MAX_HEADER_BYTES).clone();
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // The result is not needed here: the request that waits for a response gets the error.
    tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let lifetime = lifetime(response.headers());
    let document = read(response.into_body()).await?;
    Ok(Fetched { keys: Jwks::parse(&document)?, lifetime })
}

fn origin(url: &Url) -> Origin {
    // An https URL always has a host. Without one, the lookup would fail.
    let host = Host::from(url.host().unwrap_or(url::Host::Domain("")));
    // Certificates contain IPv6 addresses without the brackets of a URL.
    let server_name = host.to_string().into();
    let port = url.port().unwrap_or(443);
    Origin { scheme: Scheme::Https, host, port, server_name, named_by: NamedBy::Url }
}

fn request(url: &Url) -> Result<Request<Empty<Bytes>>, http::Error> {
    Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, OPERATOR)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .body(Empty::new())
}

/// Reads a document. Never buffers more than [`MAX_DOCUMENT`].
async fn read(body: Incoming) -> Result<Bytes, FetchError> {
    match Limited::new(body, MAX_DOCUMENT).collect().await {
        Ok(document) => Ok(document.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
        Err(error) => Err(FetchError::Broken(error)),
    }
}
