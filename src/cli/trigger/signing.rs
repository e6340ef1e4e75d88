//! Signs a test event for the first entry of `spec.verify` whose Secrets the caller can read.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};

use super::event::Event;
use crate::cli::client::place::{Place, secrets_of};
use crate::plan::secrets::Secrets;
use crate::plan::verify;
use crate::plan::{Key, Reach};
use crate::resources::verify::VerifyEntry;
use crate::verify::Proof;
use crate::verify::jwt::KeySets;

/// Advice if no entry can be used.
const INSTEAD: &str =
    "send it with --unsigned, and add a signature with --header 'Name: value' if you have one";

/// The location of a webhook's Secrets.
pub struct Keeper<'a> {
    /// Location of the webhook.
    pub place: &'a Place,
    /// Manifests of a standalone operator, with its Secrets.
    pub manifests: Option<&'a Path>,
    /// Namespace of the webhook.
    pub namespace: &'a str,
}

/// Signs an event; returns the provider and the signature.
///
/// # Errors
/// The reason why the first entry cannot be used, with advice.
pub async fn prove(
    keeper: &Keeper<'_>,
    entries: &[VerifyEntry],
    event: &Event,
) -> anyhow::Result<(&'static str, Proof)> {
    let mut first = None;
    for index in 0..entries.len() {
        match keeper.prove(entries, index, event).await {
            Ok(proof) => return Ok(proof),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(match first {
        Some(why) => anyhow!("the event cannot be signed: {why:#}; {INSTEAD}"),
        None => anyhow!("the webhook requires no signature"),
    })
}

impl Keeper<'_> {
    async fn prove(
        &self,
        entries: &[VerifyEntry],
        index: usize,
        event: &Event,
    ) -> anyhow::Result<(&'static str, Proof)> {
        let namespace: Arc<str> = self.namespace.into();
        let secrets =
            self.secrets(&verify::secrets_of(&namespace, &entries[index..=index])).await?;
        let key_sets = KeySets::default();
        let verifier = verify::verifier(&namespace, entries, index, &secrets, &key_sets)
            .map_err(|verdict| anyhow!(verdict.message().to_owned()))?;
        Ok((verifier.provider(), verifier.sign(&event.input(), event.id())?))
    }

    async fn secrets(&self, wanted: &BTreeSet<Key>) -> anyhow::Result<Secrets> {
        let mut secrets = Secrets::new(Reach::Address);
        match (self.place, self.manifests) {
            (Place::Cluster(_), _) => {
                for key in wanted {
                    let Some(found) = self.place.secret(key).await? else {
                        bail!("the Secret {key} does not exist");
                    };
                    secrets.put(found);
                }
            }
            (Place::Folder(_), Some(manifests)) => {
                for found in secrets_of(manifests, wanted)? {
                    secrets.put(found);
                }
            }
            (Place::Folder(_), None) if !wanted.is_empty() => {
                bail!("set --manifests to the folder with its Secrets");
            }
            (Place::Folder(_), None) => {}
        }
        Ok(secrets)
    }
}
