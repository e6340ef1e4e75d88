//! Reads documents: parses them, validates their objects, and evaluates each against its previous
//! state. This is most of the work, so it is done on all cores.

use std::path::Path;

use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::core::Core;
use super::documents::YamlDocument;
use super::evaluate::{Evaluation, evaluate};
use super::manifest::{self, Item, ManifestKind};
use super::parallel;
use super::problems::Problem;
use crate::plan::{Change, ObjectRef, SecretInput, ServiceInput};
use crate::resources::validate::Invalid;

/// The objects and problems of a document.
pub type DocumentContent = Result<Vec<Result<Evaluation, Problem>>, Problem>;

impl Core {
    /// Reads documents of a file. The results have the order of the documents.
    pub fn read_all(
        &self,
        path: &Path,
        documents: &[YamlDocument],
        now: Timestamp,
    ) -> Vec<DocumentContent> {
        parallel::each(documents, |document| {
            let items = manifest::parse(path, document)?;
            Ok(items.into_iter().map(|item| item.map(|item| self.evaluate(item, now))).collect())
        })
    }

    fn evaluate(&self, Item { id, value }: Item, now: Timestamp) -> Evaluation {
        match id.kind {
            ManifestKind::Custom(kind) => {
                evaluate(self, ObjectRef { kind, key: id.key }, value, now)
            }
            ManifestKind::Service => Evaluation::without_status(id, service(value)),
            ManifestKind::Secret => Evaluation::without_status(id, secret(value)),
        }
    }
}

fn service(value: Value) -> Result<Change, Invalid> {
    let service: Result<Service, _> = serde_json::from_value(value);
    let service = service.map_err(|error| Invalid::unreadable(&error))?;
    Ok(Change::Service(ServiceInput::of(&service)))
}

/// The parser's message is not used, because it quotes the value that it could not read.
fn secret(value: Value) -> Result<Change, Invalid> {
    let secret: Result<Secret, _> = serde_json::from_value(value);
    let secret = secret
        .map_err(|_| Invalid::field("data", "must be base64, and the values of stringData text"))?;
    Ok(Change::Secret(SecretInput::of(secret)))
}
