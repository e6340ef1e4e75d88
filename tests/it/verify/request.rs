//! A request that can be tampered with.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use webhook_operator::verify::{
    Denied, Entry, EntryError, Input, Provider, Secret, Verified, Verifier,
};

/// When nothing else is said.
pub const NOW: u64 = 1_700_000_000;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub headers: HeaderMap,
    pub external_url: String,
    pub path_and_query: String,
    pub body: Vec<u8>,
    pub now: u64,
}

impl Request {
    /// A POST of a body to some webhook.
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: Method::POST,
            headers: HeaderMap::new(),
            external_url: "https://hooks.example.com".into(),
            path_and_query: "/apps/a/webhooks/b".into(),
            body: body.into(),
            now: NOW,
        }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    pub fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    pub fn to(self, path_and_query: &str) -> Self {
        Self { path_and_query: path_and_query.into(), ..self }
    }

    pub fn input(&self) -> Input<'_> {
        Input {
            method: &self.method,
            headers: &self.headers,
            external_url: &self.external_url,
            path_and_query: &self.path_and_query,
            body: &self.body,
            decoded: Some(&self.body),
            now: self.now,
        }
    }

    pub fn check<'v>(&self, verifier: &'v Verifier) -> Result<Verified<'v>, Denied> {
        verifier.check(&self.input())
    }

    /// Why a verifier does not accept the request; `None` when it does.
    pub fn denied(&self, verifier: &Verifier) -> Option<Denied> {
        self.check(verifier).err()
    }
}

pub fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::new(text.as_bytes().into()).unwrap()).collect()
}

/// A row of the table, by its name in any case.
pub fn row(name: &str) -> &'static Provider {
    let mut rows = webhook_operator::verify::PROVIDERS.iter();
    rows.find(|row| row.name.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("{name}"))
}

pub fn entry(name: &str) -> Entry<'static> {
    Entry::Provider { provider: row(name), legacy: false, verify_token: None }
}

pub fn try_verifier(name: &str, texts: &[&str]) -> Result<Verifier, EntryError> {
    Verifier::new(entry(name), &secrets(texts))
}

pub fn verifier(name: &str, texts: &[&str]) -> Verifier {
    try_verifier(name, texts).unwrap()
}
