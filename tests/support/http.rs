//! A client for tests that sends exactly the bytes it is told, and reads one answer.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any limit that a test lowers, shorter than a person's patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The id of the event; fails unless the answer, or the header of one that the provider wants, says
    /// that it is stored.
    pub fn stored(&self) -> String {
        let id = self.header("webhook-event-id").unwrap_or_default().to_owned();
        if let Some(outcome) = self.header("webhook-outcome") {
            assert_eq!((outcome, id.len()), ("stored", 36), "{self:?}");
            return id;
        }
        assert_eq!(
            (self.status, self.body.clone()),
            (202, format!(r#"{{"id":"{id}"}}"#)),
            "{self:?}"
        );
        id
    }

    /// The `reason` of an error body.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// Splits `http://host:port/path`.
pub fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").expect("an http URL");
    rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash))
}

/// Connects to the host of a URL.
pub fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(split(url).0).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// One request on a connection of its own.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let (host, path) = split(url);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut stream = connect(url);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    if method == "HEAD" {
        // Its head announces the length of a body that does not follow (RFC 9110, section 9.3.2).
        return parse(&read_head(&mut stream).expect("a head").0).expect("an answer");
    }
    read_response(&mut stream).expect("an answer")
}

/// A POST of JSON.
pub fn post(url: &str, body: &str) -> Response {
    request("POST", url, &[("Content-Type", "application/json")], body.as_bytes())
}

/// A request with a bearer token.
pub fn as_app(method: &str, url: &str, token: &str, body: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    request(method, url, &headers, body.as_bytes())
}

/// Reads one answer: head, then a body of the announced length.
pub fn read_response(stream: &mut impl Read) -> io::Result<Response> {
    let (head, mut body) = read_head(stream)?;
    let mut response = parse(&head)?;
    let len = response.header("content-length").map_or(0, |len| len.parse().unwrap());
    let have = body.len();
    body.resize(len, 0);
    stream.read_exact(&mut body[have..])?;
    response.body = String::from_utf8_lossy(&body).into_owned();
    Ok(response)
}

/// An answer without its body.
fn parse(head: &str) -> io::Result<Response> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {head:?}")))?;
    let headers = lines
        .filter_map(|line| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())))
        .collect();
    Ok(Response { status, headers, body: String::new() })
}

/// Reads up to the empty line; what was read beyond it is the beginning of the body.
pub fn read_head(stream: &mut impl Read) -> io::Result<(String, Vec<u8>)> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = seen.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&seen[..end]).into_owned(), body));
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => seen.extend_from_slice(&buffer[..read]),
        }
    }
}
