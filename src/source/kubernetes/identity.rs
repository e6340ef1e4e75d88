//! The Secret with the key from which UUIDs are derived. It is created once, never replaced, and
//! never logged.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};

use super::call::{CallError, call};
use super::error::KubernetesError;
use super::{IDENTITY_SECRET, NAME};
use crate::plan::identity::IdentityKey;
use crate::resources::FIELD_MANAGER;

/// The key in the Secret's data.
const ENTRY: &str = "key";

/// Reads the key, or creates it if it is missing. Replicas that start concurrently get the same
/// key.
pub async fn read_or_create(
    client: &Client,
    namespace: &str,
) -> Result<IdentityKey, KubernetesError> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let name = || format!("{namespace}/{IDENTITY_SECRET}");
    let failed = |why| KubernetesError::Secret { secret: name(), why };
    let secret = match call(api.get_opt(IDENTITY_SECRET)).await.map_err(failed)? {
        Some(secret) => secret,
        None => {
            let new_secret = new_secret()?;
            create(&api, &new_secret).await.map_err(failed)?
        }
    };
    let bytes = secret.data.as_ref().and_then(|data| data.get(ENTRY));
    let key = bytes.and_then(|bytes| IdentityKey::new(&bytes.0));
    key.ok_or_else(|| KubernetesError::MalformedSecret(name()))
}

/// If another replica created the Secret first, reads that one.
async fn create(api: &Api<Secret>, new_secret: &Secret) -> Result<Secret, CallError> {
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match call(api.create(&params, new_secret)).await {
        Err(error) if error.code() == Some(409) => call(api.get(IDENTITY_SECRET)).await,
        made => made,
    }
}

fn new_secret() -> Result<Secret, KubernetesError> {
    let bytes = IdentityKey::generate().map_err(|_| KubernetesError::NoRandomness)?;
    let mut secret = Secret {
        type_: Some("Opaque".into()),
        data: Some([(ENTRY.into(), ByteString(bytes.into()))].into()),
        ..Secret::default()
    };
    secret.metadata.name = Some(IDENTITY_SECRET.into());
    secret.metadata.labels = Some(labels());
    Ok(secret)
}

/// The labels of the objects that the operator creates.
pub fn labels() -> std::collections::BTreeMap<String, String> {
    let label = |name: &str| (format!("app.kubernetes.io/{name}"), NAME.to_owned());
    [label("name"), label("managed-by")].into()
}
