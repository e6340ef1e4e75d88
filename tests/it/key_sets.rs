//! Key sets of issuers: fetched over https from real servers, by a clock that stands still.
//!
//! Tokio's clock is paused, and jumps whenever there is nothing to do. While a server is answering
//! there seems to be nothing to do: a [`Frozen`] clock waits for it.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, advance};
use url::Url;
use webhook_operator::delivery::{ConnectError, Connector};
use webhook_operator::key_sets::{
    BETWEEN_MISSES, CONNECT_LIMIT, FetchError, Fetched, LIMIT, MAX_DOCUMENT, fetch, keep_fresh,
};
use webhook_operator::plan::address::AddressPolicy;
use webhook_operator::verify::jwt::{JwksError, KeySetError, KeySets, Keys, NAMESPACE_SETS, Rules};
use webhook_operator::verify::{Denied, Entry, Input, Verifier};

use crate::support::https::{Certificate, Connection, serve};

/// Keeps the paused clock from jumping for as long as it lives.
struct Frozen(#[expect(dead_code, reason = "its end is what ends the wait")] mpsc::Sender<()>);

impl Frozen {
    fn new() -> Self {
        let (melt, melted) = mpsc::channel();
        thaw_after(melted);
        Self(melt)
    }
}

/// The clock does not jump before something is received.
fn thaw_after(received: mpsc::Receiver<()>) {
    // Tokio's clock waits for what blocks.
    tokio::task::spawn_blocking(move || received.recv());
}

/// An issuer, and the connector of an operator that trusts it.
struct Issuer {
    url: Url,
    connector: Arc<Connector>,
}

fn loopback() -> AddressPolicy {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    AddressPolicy { allowed, ..AddressPolicy::default() }
}

fn connector(addresses: AddressPolicy, authority: Option<&Certificate>) -> Arc<Connector> {
    let folder = TempDir::new().unwrap();
    let file = authority.map(|certificate| -> PathBuf {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, &certificate.pem).unwrap();
        file
    });
    Connector::new(addresses, file).unwrap()
}

impl Issuer {
    fn new(
        answer: impl Fn(&str, &mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let certificate = Certificate::of("localhost");
        let port = serve(&certificate, answer);
        let url = format!("https://localhost:{port}/keys?of=us").parse().unwrap();
        Self { url, connector: connector(loopback(), Some(&certificate)) }
    }

    /// Answers all with these headers, each ended by a line break, and this body.
    fn answering(status: &'static str, headers: &'static str, body: String) -> Self {
        Self::new(move |_, stream| write(stream, status, headers, &body))
    }

    async fn fetch(&self) -> Result<Fetched, FetchError> {
        let _frozen = Frozen::new();
        fetch(&self.connector, &self.url).await
    }
}

fn write(stream: &mut impl Write, status: &str, headers: &str, body: &str) -> io::Result<()> {
    let len = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {len}\r\n\r\n{body}")?;
    stream.flush()
}

fn tokens() -> Value {
    serde_json::from_str(include_str!("verify/jwt.json")).unwrap()
}

fn jwks() -> String {
    tokens()["jwks"].to_string()
}

#[tokio::test(start_paused = true)]
async fn a_set_is_asked_for_as_its_url_says() {
    let (heads, asked) = mpsc::channel();
    let issuer = Issuer::new(move |head, stream| {
        heads.send(head.to_owned()).unwrap();
        write(stream, "200 OK", "Cache-Control: max-age=1800\r\n", &jwks())
    });
    let fetched = issuer.fetch().await.unwrap();
    assert_eq!(fetched.lifetime, Duration::from_secs(1800));
    let head = asked.recv().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /keys?of=us http/1.1\r\n"), "{head}");
    let port = issuer.url.port().unwrap();
    assert!(head.contains(&format!("\r\nhost: localhost:{port}\r\n")), "{head}");
    assert!(!head.contains("content-length") && !head.contains("authorization"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_not_followed_and_an_error_is_no_set() {
    for status in ["301 Moved", "302 Found", "204 No Content", "206 Part", "404 No", "503 Down"] {
        let issuer = Issuer::answering(status, "Location: /keys\r\n", jwks());
        let told = issuer.fetch().await.unwrap_err();
        let FetchError::Status(told) = told else { panic!("{status}: {told}") };
        assert!(status.starts_with(told.as_str()), "{status}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_of_the_most_that_may_be_is_read_and_one_byte_more_is_not() {
    let padded = |len: usize| {
        let jwks = jwks();
        let padding = " ".repeat(len - jwks.len());
        jwks + &padding
    };
    let issuer = Issuer::answering("200 OK", "", padded(MAX_DOCUMENT));
    issuer.fetch().await.unwrap();
    let issuer = Issuer::answering("200 OK", "", padded(MAX_DOCUMENT + 1));
    assert!(matches!(issuer.fetch().await, Err(FetchError::TooLarge)));
}

#[tokio::test(start_paused = true)]
async fn a_document_without_an_end_is_left_where_it_gets_too_long() {
    let (ended, end) = mpsc::channel();
    let issuer = Issuer::new(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        while stream.write_all(&[b' '; 16 * 1024]).is_ok() {}
        ended.send(()).map_err(io::Error::other)
    });
    assert!(matches!(issuer.fetch().await, Err(FetchError::TooLarge)));
    // The connection is closed by a task of its own.
    tokio::task::spawn_blocking(move || end.recv().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_set_of_keys_is_told_and_not_repeated() {
    for (body, expected) in [
        ("<html>concern</html>".to_owned(), JwksError::Malformed),
        (json!({"keys": []}).to_string(), JwksError::NoUsableKey),
        (json!({"keys": vec![1; 65]}).to_string(), JwksError::TooManyKeys),
    ] {
        let told = Issuer::answering("200 OK", "", body).fetch().await.unwrap_err();
        assert!(!told.to_string().contains("concern"), "{told}");
        assert!(matches!(told, FetchError::Jwks(error) if error == expected), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_is_no_set_though_it_looks_like_one() {
    let issuer = Issuer::new(|_, stream| {
        let jwks = jwks();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{jwks}", jwks.len() + 1)
    });
    assert!(matches!(issuer.fetch().await, Err(FetchError::Broken(_))));
    let issuer = Issuer::new(|_, stream| write!(stream, "SSH-2.0-issuer\r\n"));
    assert!(matches!(issuer.fetch().await, Err(FetchError::Http(_))));
}

/// Waits until the client has left.
fn hang(stream: &mut Connection) -> io::Result<()> {
    stream.flush()?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_is_given_up_after_10_seconds() {
    for said in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"] {
        let (hanging, hangs) = mpsc::channel();
        let issuer = Issuer::new(move |_, stream| {
            stream.write_all(said.as_bytes())?;
            let _ = hanging.send(());
            hang(stream)
        });
        let began = Instant::now();
        thaw_after(hangs);
        let told = fetch(&issuer.connector, &issuer.url).await;
        assert!(matches!(told, Err(FetchError::Timeout)), "{said:?}: {told:?}");
        assert!((LIMIT..LIMIT + Duration::from_secs(1)).contains(&began.elapsed()), "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_shakes_hands_is_given_up_sooner() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", silent.local_addr().unwrap().port());
    let connector = connector(loopback(), None);
    let began = Instant::now();
    let told = fetch(&connector, &url.parse().unwrap()).await;
    assert!(matches!(told, Err(FetchError::ConnectTimeout)), "{told:?}");
    assert!(began.elapsed() < CONNECT_LIMIT + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn loopback_is_refused_unless_the_operator_allows_it() {
    let (calls, called) = mpsc::channel();
    let issuer = Issuer::new(move |_, _| calls.send(()).map_err(io::Error::other));
    let connector = connector(AddressPolicy::default(), None);
    let port = issuer.url.port().unwrap();
    for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "0.0.0.0"] {
        let url = format!("https://{host}:{port}/").parse().unwrap();
        let told = fetch(&connector, &url).await;
        let is_refused = matches!(&told, Err(FetchError::Connect(ConnectError::AddressRefused)));
        assert!(is_refused, "{host}: {told:?}");
    }
    assert!(called.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_denied_is_not_reached_by_a_name_either() {
    let (calls, called) = mpsc::channel();
    let issuer = Issuer::new(move |_, _| calls.send(()).map_err(io::Error::other));
    let networks = || ["127.0.0.0/8", "::1/128"].map(|text| text.parse().unwrap()).into();
    // What is denied is not opened by what is allowed.
    let policy = AddressPolicy { allowed: networks(), denied_to_urls: networks() };
    let connector = connector(policy, None);
    let port = issuer.url.port().unwrap();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]"] {
        let url = format!("https://{host}:{port}/").parse().unwrap();
        let told = fetch(&connector, &url).await;
        let is_denied = matches!(&told, Err(FetchError::Connect(ConnectError::NetworkDenied)));
        assert!(is_denied, "{host}: {told:?}");
    }
    assert!(called.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_must_show_a_certificate_for_its_name_of_a_trusted_authority() {
    let issuer = Issuer::answering("200 OK", "", jwks());
    let _frozen = Frozen::new();
    let tls_fails = |told: Result<Fetched, FetchError>| {
        matches!(told, Err(FetchError::Connect(ConnectError::Tls(_))))
    };
    let stranger = connector(loopback(), Some(&Certificate::of("localhost")));
    assert!(tls_fails(fetch(&stranger, &issuer.url).await));
    let mut other_name = issuer.url.clone();
    other_name.set_host(Some("127.0.0.1")).unwrap();
    assert!(tls_fails(fetch(&issuer.connector, &other_name).await));
    assert!(issuer.fetch().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_listens_without_tls_is_told_nothing() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}/keys", plain.local_addr().unwrap().port());
    let (told, tell) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = plain.accept().unwrap();
        let mut record = [0; 5];
        stream.read_exact(&mut record).unwrap();
        told.send(record).unwrap();
    });
    let _frozen = Frozen::new();
    let connector = connector(loopback(), None);
    let failed = fetch(&connector, &url.parse().unwrap()).await;
    assert!(matches!(failed, Err(FetchError::Connect(ConnectError::Tls(_)))), "{failed:?}");
    // A handshake record (RFC 8446, section 5.1).
    assert_eq!(tell.recv().unwrap()[..2], [22, 3]);
}

/// A webhook of the tokens' issuer.
struct Webhook {
    tokens: Value,
    verifier: Verifier,
}

impl Webhook {
    fn new(keys: Keys) -> Self {
        let tokens = tokens();
        let text = |name: &str| Box::from(tokens[name].as_str().unwrap());
        let audiences = [text("audience")].into();
        let rules = Rules { issuer: text("issuer"), audiences, keys };
        let verifier = Verifier::new(Entry::Jwt(rules), &[]).unwrap();
        Self { tokens, verifier }
    }

    /// Why a trigger with a genuine token is not accepted; `None` when it is.
    fn denied(&self) -> Option<Denied> {
        let token = self.tokens["accepted"]["EdDSA by ed"].as_str().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let input = Input {
            method: &Method::POST,
            headers: &headers,
            external_url: "",
            path_and_query: "/",
            body: b"",
            decoded: Some(b""),
            now: self.tokens["now"].as_u64().unwrap(),
        };
        self.verifier.check(&input).err()
    }
}

/// Waits, by the clock on the wall, until something is so.
async fn eventually(mut is_so: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < patience, "it did not come");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_accepted_soon_and_stays_while_the_issuer_is_down() {
    let _frozen = Frozen::new();
    let old = json!({"keys": [tokens()["jwks"]["keys"][1]]}).to_string();
    let (served, calls) = (Arc::new(Mutex::new(Some(old))), Arc::new(AtomicUsize::new(0)));
    let (serving, counted) = (served.clone(), calls.clone());
    let issuer = Issuer::new(move |_, stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        match &*serving.lock().unwrap() {
            Some(jwks) => write(stream, "200 OK", "", jwks),
            None => write(stream, "503 Service Unavailable", "", ""),
        }
    });
    let sets = Arc::new(KeySets::default());
    let keys = sets.keys(&"team-a".into(), issuer.url.as_str()).unwrap();
    let webhook = Webhook::new(keys.clone());
    assert_eq!(webhook.denied(), Some(Denied::KeysUnavailable));
    tokio::spawn(keep_fresh(sets, issuer.connector));
    eventually(|| webhook.denied() == Some(Denied::UnknownKey)).await;
    *served.lock().unwrap() = Some(jwks());
    assert_eq!(webhook.denied(), Some(Denied::UnknownKey));
    advance(BETWEEN_MISSES).await;
    eventually(|| webhook.denied().is_none()).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    *served.lock().unwrap() = None;
    keys.miss();
    advance(BETWEEN_MISSES).await;
    eventually(|| !keys.is_missed()).await;
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(webhook.denied(), None);
}

/// Takes connections and says nothing on them; tells of each.
fn silent() -> (u16, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, takes) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            open.push(stream);
            if taken.send(()).is_err() {
                return;
            }
        }
    });
    (port, takes)
}

#[tokio::test(start_paused = true)]
async fn silent_issuers_of_one_namespace_do_not_delay_the_first_fetch_of_another() {
    // The clock stands still: what is served is served without waiting for a time-out.
    let _frozen = Frozen::new();
    let issuer = Issuer::answering("200 OK", "", jwks());
    let sets = Arc::new(KeySets::default());
    tokio::spawn(keep_fresh(sets.clone(), issuer.connector.clone()));
    let (port, takes) = silent();
    let hostile = Arc::from("hostile");
    // As many webhooks as it took to delay others by 28 s, each with a host of its own.
    let urls = (1..=192).map(|n| format!("https://127.0.1.{n}:{port}/keys"));
    let silent: Vec<_> = urls.map(|url| sets.keys(&hostile, &url)).collect();
    let (held, refused): (Vec<_>, Vec<_>) = silent.into_iter().partition(Result::is_ok);
    assert_eq!(held.len(), NAMESPACE_SETS);
    assert!(refused.iter().all(|refused| matches!(refused, Err(KeySetError::NamespaceShare))));
    let mut connected = 0;
    // Its share of slots is in use.
    eventually(|| {
        connected += takes.try_iter().count();
        connected >= 8
    })
    .await;
    let keys = sets.keys(&"quiet".into(), issuer.url.as_str()).unwrap();
    let webhook = Webhook::new(keys);
    eventually(|| webhook.denied().is_none()).await;
    assert_eq!(
        connected + takes.try_iter().count(),
        8,
        "the hostile namespace has its share, and no more"
    );
}
