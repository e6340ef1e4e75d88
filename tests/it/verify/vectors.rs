//! Vectors: those that providers and their libraries publish (`vectors.json`), and more that
//! another implementation computed (`computed.json`); and those for entries as users write them
//! (`user_entries.json`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use webhook_operator::verify::{
    Algorithm, Encoding, Entry, Layout, Metadata, Signature, Source, Timestamp, TimestampFormat,
    Verifier,
};

use super::request::{NOW, Request, row, secrets};
use super::user_entry;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vector {
    pub provider: String,
    #[serde(default)]
    pub case: String,
    pub secret: String,
    #[serde(default)]
    body: String,
    /// What `{pad}` in the body stands for: a text, so many times.
    pad: Option<(String, usize)>,
    form: Option<BTreeMap<String, String>>,
    url: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    pub now: Option<u64>,
    pub tolerance: Option<u64>,
    /// Whether the scheme is one that must be asked for.
    #[serde(default)]
    legacy: bool,
    algorithm: Option<String>,
    encoding: Option<String>,
    signature: Option<String>,
    hmac: Option<Hmac>,
    /// The entry as a user writes it.
    entry: Option<Value>,
    /// The sender whose entry is in the documentation.
    sender: Option<String>,
    /// Another secret of the same form.
    decoy: Option<String>,
    pub source: String,
}

/// The generic entry of a vector, as a user writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hmac {
    algorithm: String,
    encoding: String,
    prefix: String,
    signed: String,
    timestamp_header: Option<String>,
    id_header: Option<String>,
}

impl Vector {
    pub fn all() -> Vec<Self> {
        let read = |text| serde_json::from_str::<Vec<Self>>(text).unwrap();
        let mut all = read(include_str!("vectors.json"));
        all.extend(read(include_str!("computed.json")));
        all.extend(read(include_str!("user_entries.json")));
        all
    }

    /// Those that can be tampered with a hundred times in no time.
    pub fn small() -> impl Iterator<Item = Self> {
        Self::all().into_iter().filter(|vector| vector.pad.is_none())
    }

    pub fn name(&self) -> String {
        format!("{} {} ({})", self.provider, self.case, self.source)
    }

    pub fn request(&self) -> Request {
        let mut request = Request::of(self.body_text()).at(self.now.unwrap_or(NOW));
        if let Some(url) = &self.url {
            let path = url.find("://").map(|at| at + 3).unwrap();
            let path = path + url[path..].find('/').unwrap();
            request.external_url = url[..path].into();
            request.path_and_query = url[path..].into();
        }
        for (name, value) in &self.headers {
            request = request.with(name, value);
        }
        if let Some(signature) = &self.signature {
            request = request.with("x-signature", signature);
        }
        match (&self.content_type, &self.form) {
            (Some(content_type), _) => request.with("content-type", content_type),
            (None, Some(_)) => request.with("content-type", "application/x-www-form-urlencoded"),
            (None, None) => request,
        }
    }

    fn body_text(&self) -> String {
        if let Some(form) = &self.form {
            return form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        }
        match &self.pad {
            Some((text, times)) => self.body.replace("{pad}", &text.repeat(*times)),
            None => self.body.clone(),
        }
    }

    pub fn verifier(&self) -> Verifier {
        self.verifier_of(&[&self.secret])
    }

    pub fn verifier_of(&self, texts: &[&str]) -> Verifier {
        if let Some(entry) = &self.entry() {
            return user_entry::verifier(entry, texts);
        }
        let entry = if self.provider == "hmac" {
            Entry::Hmac(self.generic(), Metadata::default())
        } else {
            let provider = row(&self.provider);
            Entry::Provider { provider, legacy: self.legacy, verify_token: None }
        };
        Verifier::new(entry, &secrets(texts)).unwrap()
    }

    /// The entry as a user writes it.
    pub fn entry(&self) -> Option<Value> {
        let documented = self.sender.as_deref().map(user_entry::documented);
        documented.or_else(|| self.entry.clone())
    }

    fn generic(&self) -> Signature<'_> {
        let Some(hmac) = &self.hmac else {
            return Signature {
                header: "X-Signature",
                algorithm: algorithm(self.algorithm.as_deref().unwrap()),
                encoding: encoding(self.encoding.as_deref().unwrap()),
                ..Signature::HMAC
            };
        };
        Signature {
            header: "X-Signature",
            layout: Layout::Prefixed(&hmac.prefix),
            algorithm: algorithm(&hmac.algorithm),
            encoding: encoding(&hmac.encoding),
            signed: &hmac.signed,
            timestamp: hmac.timestamp_header.as_deref().map(|header| Timestamp {
                source: Source::Header(header),
                format: TimestampFormat::Unix,
                tolerance: Duration::from_secs(300),
            }),
            id: hmac.id_header.as_deref(),
            ..Signature::HMAC
        }
    }

    /// A secret of the same form that is another.
    pub fn decoy(&self) -> String {
        if let Some(decoy) = &self.decoy {
            return decoy.clone();
        }
        let is_standard = ["standardWebhooks", "gitlab"].contains(&&*self.provider);
        match &*self.provider {
            "discord" => "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29".into(),
            _ if is_standard && self.secret.starts_with("whpk_") => {
                "whpk_O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=".into()
            }
            _ if is_standard => "whsec_ZGVjb3kgc2VjcmV0IG9mIDMyIGJ5dGVzIGZvciB0ZXN0cw==".into(),
            _ => "decoy".into(),
        }
    }
}

fn algorithm(name: &str) -> Algorithm {
    match name {
        "sha1" => Algorithm::HmacSha1,
        "sha256" => Algorithm::HmacSha256,
        "sha512" => Algorithm::HmacSha512,
        _ => panic!("{name}"),
    }
}

fn encoding(name: &str) -> Encoding {
    match name {
        "hex" => Encoding::Hex,
        "base64" => Encoding::Base64,
        _ => panic!("{name}"),
    }
}
