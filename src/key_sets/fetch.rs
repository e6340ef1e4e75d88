//! One fetch of a key set: a GET within its time, over a connection of its own.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use url::{Position, Url};

use super::lifetime::lifetime;
use crate::delivery::{ConnectError, Connector, ONE_OF_SEVERAL, OPERATOR, Pieces};
use crate::resources::Scheme;
use crate::routes::{Host, NamedBy, Origin};
use crate::verify::jwt::{Jwks, JwksError};

/// How long a fetch may take, from the look-up of the name to the last byte.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Of these, how long until there is a connection: look-up, TCP and TLS. Longer than
/// [`ONE_OF_SEVERAL`], so that a second address is tried where the first one is silent.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);

const _: () = assert!(ONE_OF_SEVERAL.as_secs() < CONNECT_LIMIT.as_secs());
const _: () = assert!(CONNECT_LIMIT.as_secs() < LIMIT.as_secs());

/// The longest document, in bytes. Those of large issuers have a tenth of it.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// A set, and how long it may be used.
#[derive(Debug)]
pub struct Fetched {
    /// The keys.
    pub keys: Jwks,
    /// Within our bounds, what the issuer says.
    pub lifetime: Duration,
}

/// Why a key set was not fetched. It repeats neither the URL's path and query nor what was read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be asked for.
    #[error("its URL cannot be used: {0}")]
    Url(#[from] http::Error),
    /// No connection came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It took too long until there was a connection.
    #[error("no connection within {CONNECT_LIMIT:?}")]
    ConnectTimeout,
    /// The connection broke, or the answer is not HTTP.
    #[error("no valid answer: {0}")]
    Http(#[from] hyper::Error),
    /// A redirect is no key set either.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// The document is longer than anyone's.
    #[error("the document is longer than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// The document broke off.
    #[error("the document could not be read: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
    /// The document is not a set of keys that can be used.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// It took too long.
    #[error("no answer within {LIMIT:?}")]
    Timeout,
}

/// Fetches the key set of a URL, whose scheme is taken to be `https`.
///
/// A tenant names the URL, and so makes the operator connect somewhere. What it can bring about is
/// one GET without credentials, to a server that shows a certificate for the URL's name by an
/// authority that the operator trusts; anything else that listens there sees a TLS handshake begin.
/// Of the answer a tenant learns nothing but whether tokens are accepted by it.
/// Refused are, at each connect and by what the name resolves to, loopback, link-local, multicast,
/// unspecified, broadcast and metadata addresses ([`AddressPolicy`]), unless the operator's flags
/// allow them; private networks are not, as issuers within the cluster may be there, unless the
/// operator's flags deny them to URLs. Refused are every status but 200, so that no redirect is followed, and documents longer than [`MAX_DOCUMENT`].
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
    let mut sender = connected.map_err(|_| FetchError::ConnectTimeout)??;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let lifetime = lifetime(response.headers());
    let document = read(response.into_body()).await?;
    Ok(Fetched { keys: Jwks::parse(&document)?, lifetime })
}

fn origin(url: &Url) -> Origin {
    // An https URL has a host; without one, the look-up would fail.
    let host = Host::from(url.host().unwrap_or(url::Host::Domain("")));
    // A certificate has an IPv6 address without the brackets of a URL.
    let server_name = host.to_string().into();
    let port = url.port().unwrap_or(443);
    Origin { scheme: Scheme::Https, host, port, server_name, named_by: NamedBy::Url }
}

fn request(url: &Url) -> Result<Request<Pieces>, http::Error> {
    Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, OPERATOR)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .body(Pieces::default())
}

/// Reads a document; no more of it than may be is ever held.
async fn read(body: Incoming) -> Result<Bytes, FetchError> {
    match Limited::new(body, MAX_DOCUMENT).collect().await {
        Ok(document) => Ok(document.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
        Err(error) => Err(FetchError::Broken(error)),
    }
}
