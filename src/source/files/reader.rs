//! Parses and validates documents, which is most of the work, on all cores.

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use serde_json::Value;

use super::documents::Document;
use super::manifest::{self, Declared, Id, Item};
use super::parallel;
use super::problems::Problem;
use super::settle::{Candidate, Kept};
use super::status_files::StatusFiles;
use crate::plan::{Kind, SecretInput, ServiceInput};
use crate::resources::validate::{Invalid, Validator};
use crate::resources::{Webhook, WebhookApp};

/// Reads documents. Uses the schemas and the status files, and has no mutable state.
#[derive(Debug)]
pub struct Reader {
    /// The validator of `WebhookApp`.
    pub apps: Validator,
    /// The validator of `Webhook`.
    pub webhooks: Validator,
    /// The previous state of each object.
    pub statuses: Arc<StatusFiles>,
}

/// The objects and problems of a document.
pub type Content = Result<Vec<Result<Found, Problem>>, Problem>;

/// An object in a document.
#[derive(Debug)]
pub struct Found {
    /// Its identity.
    pub id: Id,
    /// Its parsed content.
    pub said: Said,
}

/// The parsed content of an object.
#[derive(Debug)]
pub enum Said {
    /// A WebhookApp.
    App(Candidate<WebhookApp>),
    /// A Webhook.
    Webhook(Candidate<Webhook>),
    /// A Service.
    Service(Result<ServiceInput, Invalid>),
    /// A Secret.
    Secret(Result<SecretInput, Invalid>),
}

impl Reader {
    /// Reads documents of a file. The results have the order of the documents.
    pub fn read_all(&self, path: &Path, documents: &[Document]) -> Vec<Content> {
        parallel::each(documents, |document| self.read(path, document))
    }

    fn read(&self, path: &Path, document: &Document) -> Content {
        let items = manifest::parse(path, document)?;
        Ok(items.into_iter().map(|item| item.map(|item| self.examine(item))).collect())
    }

    fn examine(&self, Item { id, value }: Item) -> Found {
        let said = match id.kind {
            Declared::Ours(Kind::WebhookApp) => Said::App(self.candidate(&self.apps, &id, value)),
            Declared::Ours(Kind::Webhook) => {
                Said::Webhook(self.candidate(&self.webhooks, &id, value))
            }
            Declared::Service => Said::Service(service(value)),
            Declared::Secret => Said::Secret(secret(value)),
        };
        Found { id, said }
    }

    fn candidate<K: Kept>(&self, validator: &Validator, id: &Id, value: Value) -> Candidate<K> {
        let past = self.statuses.read(K::KIND, &id.key);
        Candidate::read(validator, value, past.as_deref())
    }
}

fn service(value: Value) -> Result<ServiceInput, Invalid> {
    let service: Service =
        serde_json::from_value(value).map_err(|error| Invalid::unreadable(&error))?;
    Ok(ServiceInput::of(&service))
}

/// The parser's message is not used, because it quotes the value that it could not read.
fn secret(value: Value) -> Result<SecretInput, Invalid> {
    let secret: Result<Secret, _> = serde_json::from_value(value);
    let secret = secret
        .map_err(|_| Invalid::field("data", "must be base64, and the values of stringData text"))?;
    Ok(SecretInput::of(secret))
}
