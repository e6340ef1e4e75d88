//! Parses and validates documents, which is most of the work, on all cores.

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use serde_json::Value;

use super::documents::YamlDocument;
use super::manifest::{self, Item, ManifestKind, ObjectId};
use super::parallel;
use super::problems::Problem;
use super::resolve::DeclaredObject;
use super::status_files::StatusFiles;
use crate::plan::{Kind, OperatorResource, SecretInput, ServiceInput};
use crate::resources::validate::{Invalid, Validator};
use crate::resources::{Webhook, WebhookApp};

/// Reads documents. Uses the schemas and the status files, and has no mutable state.
#[derive(Debug)]
pub struct DocumentReader {
    /// The validator of `WebhookApp`.
    pub apps: Validator,
    /// The validator of `Webhook`.
    pub webhooks: Validator,
    /// The previous state of each object.
    pub statuses: Arc<StatusFiles>,
}

/// The objects and problems of a document.
pub type DocumentContent = Result<Vec<Result<FoundObject, Problem>>, Problem>;

/// An object in a document.
#[derive(Debug)]
pub struct FoundObject {
    /// Its identity.
    pub id: ObjectId,
    /// Its parsed content.
    pub parsed: Parsed,
}

/// The parsed content of an object.
#[derive(Debug)]
pub enum Parsed {
    /// A WebhookApp.
    App(DeclaredObject<WebhookApp>),
    /// A Webhook.
    Webhook(DeclaredObject<Webhook>),
    /// A Service.
    Service(Result<ServiceInput, Invalid>),
    /// A Secret.
    Secret(Result<SecretInput, Invalid>),
}

impl DocumentReader {
    /// Reads documents of a file. The results have the order of the documents.
    pub fn read_all(&self, path: &Path, documents: &[YamlDocument]) -> Vec<DocumentContent> {
        parallel::each(documents, |document| self.read(path, document))
    }

    fn read(&self, path: &Path, document: &YamlDocument) -> DocumentContent {
        let items = manifest::parse(path, document)?;
        Ok(items.into_iter().map(|item| item.map(|item| self.parse_item(item))).collect())
    }

    fn parse_item(&self, Item { id, value }: Item) -> FoundObject {
        let parsed = match id.kind {
            ManifestKind::Custom(Kind::WebhookApp) => {
                Parsed::App(self.candidate(&self.apps, &id, value))
            }
            ManifestKind::Custom(Kind::Webhook) => {
                Parsed::Webhook(self.candidate(&self.webhooks, &id, value))
            }
            ManifestKind::Service => Parsed::Service(service(value)),
            ManifestKind::Secret => Parsed::Secret(secret(value)),
        };
        FoundObject { id, parsed }
    }

    fn candidate<K: OperatorResource>(
        &self,
        validator: &Validator,
        id: &ObjectId,
        value: Value,
    ) -> DeclaredObject<K> {
        let previous = self.statuses.read(K::KIND, &id.key);
        DeclaredObject::read(validator, value, previous.as_deref())
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
