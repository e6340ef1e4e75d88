//! What proves a test event: the first entry of `spec.verify` that can be signed with what the caller may read.

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

/// What to do where nothing can be signed.
const INSTEAD: &str =
    "send it unsigned with --unsigned, and with --header 'Name: value' for a proof of your own";

/// Where the secrets of a webhook are.
pub struct Keeper<'a> {
    /// Where the webhook is.
    pub place: &'a Place,
    /// Where a standalone operator's Secrets are.
    pub manifests: Option<&'a Path>,
    /// The webhook's namespace.
    pub namespace: &'a str,
}

/// The provider as which an event is signed, and what proves it.
///
/// # Errors
/// Why no entry can be signed, the first one's reason, and what to do instead.
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
        None => anyhow!("the webhook asks for no signature"),
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
                bail!("say by --manifests where its Secrets are");
            }
            (Place::Folder(_), None) => {}
        }
        Ok(secrets)
    }
}
