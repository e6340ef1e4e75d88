//! The Secret that every derived UUID hangs on: made once, never replaced, never logged.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};

use super::call::{CallError, call};
use super::error::KubernetesError;
use super::{IDENTITY_SECRET, NAME};
use crate::plan::identity::IdentityKey;
use crate::resources::FIELD_MANAGER;

/// The entry of the Secret.
const ENTRY: &str = "key";

/// Reads the key, or makes one where there is none. Replicas that start at once end with the same.
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
            let fresh = fresh()?;
            create(&api, &fresh).await.map_err(failed)?
        }
    };
    let bytes = secret.data.as_ref().and_then(|data| data.get(ENTRY));
    let key = bytes.and_then(|bytes| IdentityKey::new(&bytes.0));
    key.ok_or_else(|| KubernetesError::MalformedSecret(name()))
}

/// Who comes second takes what the first made.
async fn create(api: &Api<Secret>, fresh: &Secret) -> Result<Secret, CallError> {
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match call(api.create(&params, fresh)).await {
        Err(error) if error.code() == Some(409) => call(api.get(IDENTITY_SECRET)).await,
        made => made,
    }
}

fn fresh() -> Result<Secret, KubernetesError> {
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

/// The labels of what the operator makes for itself.
pub fn labels() -> std::collections::BTreeMap<String, String> {
    let label = |name: &str| (format!("app.kubernetes.io/{name}"), NAME.to_owned());
    [label("name"), label("managed-by")].into()
}
