//! The request of a test event: body, headers and URL. Pure.

use std::str::FromStr;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use super::sample::Sample;
use crate::delivery::OPERATOR;
use crate::verify::{Input, Proof};

/// A header from a flag.
#[derive(Clone, Debug)]
pub struct Header(HeaderName, HeaderValue);

impl Header {
    /// The name and the value.
    pub fn into_parts(self) -> (HeaderName, HeaderValue) {
        (self.0, self.1)
    }
}

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must have the form 'Name: value'";
        let (name, value) = text.split_once(':').ok_or(FORM)?;
        let (name, value) = (name.trim().parse(), value.trim().parse());
        Ok(Self(name.map_err(|_| FORM)?, value.map_err(|_| FORM)?))
    }
}

/// A test event, before it is signed.
pub struct Event {
    headers: HeaderMap,
    body: Bytes,
    /// Scheme and authority of the trigger URL.
    external_url: String,
    path_and_query: String,
    /// The delivery id that a sender would set.
    id: String,
    /// Milliseconds since 1970.
    millis: u64,
}

impl Event {
    /// The example event of a provider, or an event with the caller's body.
    ///
    /// # Errors
    /// The trigger URL is invalid.
    pub fn new(
        url: &str,
        sample: &Sample,
        body: Option<Bytes>,
        id: String,
        millis: u64,
    ) -> anyhow::Result<Self> {
        let (external_url, path_and_query) = split(url)?;
        // The content type is known for the example body only: for another body, --content-type
        // sets it.
        let is_json = |body: &Bytes| serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
        let content_type = match &body {
            None => Some(sample.content_type),
            Some(body) => is_json(body).then_some("application/json"),
        };
        let body = body.unwrap_or_else(|| sample.body(&id, millis).into());
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, OPERATOR);
        for (name, value) in sample.headers {
            let value = HeaderValue::try_from(value.replace("{id}", &id))?;
            headers.insert(HeaderName::try_from(*name)?, value);
        }
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Ok(Self { headers, body, external_url, path_and_query, id, millis })
    }

    /// Replaces headers.
    pub fn set(&mut self, headers: &[Header], content_type: Option<&HeaderValue>) {
        for Header(name, value) in headers {
            self.headers.insert(name, value.clone());
        }
        if let Some(value) = content_type {
            self.headers.insert(CONTENT_TYPE, value.clone());
        }
    }

    /// The parts of the request that are signed.
    pub fn input(&self) -> Input<'_> {
        Input {
            method: &Method::POST,
            headers: &self.headers,
            external_url: &self.external_url,
            path_and_query: &self.path_and_query,
            body: &self.body,
            decoded: Some(&self.body),
            now: self.millis / 1000,
        }
    }

    /// The delivery id that a sender would set.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Adds the headers and parameters of the signature. Headers of the caller take precedence.
    pub fn prove(&mut self, proof: Proof, given: &[Header]) {
        let is_given = |name: &HeaderName| given.iter().any(|Header(given, _)| given == name);
        for (name, value) in &proof.headers {
            if !is_given(name) {
                self.headers.insert(name, value.clone());
            }
        }
        if let Some(parameter) = proof.query {
            let separator = if self.path_and_query.contains('?') { '&' } else { '?' };
            self.path_and_query = format!("{}{separator}{parameter}", self.path_and_query);
        }
    }

    /// The request for the operator's own port, without the path prefix of a proxy.
    ///
    /// # Errors
    /// The URL is not a trigger URL of an operator.
    pub fn into_port(self) -> anyhow::Result<Request<Bytes>> {
        let at = self
            .path_and_query
            .rfind("/apps/")
            .context("the trigger URL does not contain /apps/")?;
        let path = self.path_and_query[at..].to_owned();
        self.at(&path)
    }

    /// The request for its URL, with the scheme and authority of that URL.
    ///
    /// # Errors
    /// The URL has no path that a request can have.
    pub fn into_url(self) -> anyhow::Result<(String, Request<Bytes>)> {
        let (base, path) = (self.external_url.clone(), self.path_and_query.clone());
        Ok((base, self.at(&path)?))
    }

    /// The request for another URL. The signature is unchanged.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn into_another(self, url: &str) -> anyhow::Result<(String, Request<Bytes>)> {
        let (base, mut path) = split(url)?;
        if path == "/" {
            // The URL has no path: use that of the trigger URL.
            return Ok((base, self.into_port()?));
        }
        if let Some((_, query)) =
            self.path_and_query.split_once('?').filter(|_| !path.contains('?'))
        {
            path = format!("{path}?{query}");
        }
        Ok((base, self.at(&path)?))
    }

    fn at(self, path: &str) -> anyhow::Result<Request<Bytes>> {
        let mut request = Request::post(path).body(self.body)?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

/// Scheme and authority, then path and query. Errors do not contain the URL, which is a secret.
fn split(url: &str) -> anyhow::Result<(String, String)> {
    let parsed: Option<Uri> = url.parse().ok();
    let parts = parsed.map(Uri::into_parts);
    let Some((Some(scheme), Some(authority), path)) =
        parts.map(|parts| (parts.scheme, parts.authority, parts.path_and_query))
    else {
        bail!("the URL is not an absolute http or https URL");
    };
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS || has_user(&authority) {
        bail!("the URL is not an absolute http or https URL");
    }
    let path = path.map_or_else(|| "/".to_owned(), |path| path.to_string());
    Ok((format!("{scheme}://{authority}"), path))
}

fn has_user(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://hooks.example.com/below/apps/a/webhooks/b";

    fn event(body: Option<&'static str>) -> Event {
        let sample = Sample::of(Some("GitHub"));
        Event::new(URL, sample, body.map(Bytes::from), "7".into(), 1_700_000_000_123).unwrap()
    }

    #[test]
    fn a_sample_comes_with_its_headers_and_another_body_with_the_type_that_it_has() {
        let headers = event(None).headers;
        assert_eq!(headers["x-github-delivery"], "7");
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert_eq!(event(Some("[1]")).headers[CONTENT_TYPE], "application/json");
        assert!(!event(Some("a=b")).headers.contains_key(CONTENT_TYPE));
    }

    #[test]
    fn what_the_caller_says_stays_and_the_rest_is_proved() {
        let mut event = event(None);
        let given = ["X-GitHub-Event: push".parse().unwrap(), "X-Sign: own".parse().unwrap()];
        event.set(&given, Some(&HeaderValue::from_static("text/plain")));
        let mut proof = Proof { query: Some("d=1".into()), ..Proof::default() };
        for name in ["x-sign", "x-time"] {
            proof.headers.insert(name, HeaderValue::from_static("made"));
        }
        event.prove(proof, &given);
        let (base, request) = event.into_url().unwrap();
        assert_eq!(
            (&*base, request.uri().path()),
            ("https://hooks.example.com", "/below/apps/a/webhooks/b")
        );
        assert_eq!(request.uri().query(), Some("d=1"));
        for (name, value) in [
            ("x-github-event", "push"),
            ("x-sign", "own"),
            ("x-time", "made"),
            ("content-type", "text/plain"),
        ] {
            assert_eq!(request.headers()[name], value);
        }
    }

    #[test]
    fn the_way_there_may_be_another_than_the_url() {
        let path = |request: Request<Bytes>| request.uri().to_string();
        assert_eq!(path(event(None).into_port().unwrap()), "/apps/a/webhooks/b");
        let another =
            |url| event(None).into_another(url).map(|(base, request)| (base, path(request)));
        let local = || "http://localhost:8080".to_owned();
        assert_eq!(
            another("http://localhost:8080").unwrap(),
            (local(), "/apps/a/webhooks/b".into())
        );
        assert_eq!(another("http://localhost:8080/x").unwrap(), (local(), "/x".into()));
        for url in ["", "localhost", "ftp://a/b", "http://user:pw@a/b"] {
            let error = another(url).unwrap_err().to_string();
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        for text in ["X-A: b", "X-A:", "X-A:b:c"] {
            assert!(text.parse::<Header>().is_ok(), "{text}");
        }
        for text in ["", "X-A", ": b", "X A: b", "X-A: b\u{7}c"] {
            assert!(text.parse::<Header>().is_err(), "{text:?}");
        }
    }
}
