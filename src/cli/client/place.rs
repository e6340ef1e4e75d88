//! The location of resources: a cluster, or the folders of a standalone operator.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use kube::core::ObjectList;

use super::cluster::Cluster;
use super::reach::{Operator, ReachArgs};
use crate::plan::{Key, OperatorResource, SecretInput};
use crate::source::files::look;
use crate::source::kubernetes::call;

/// Default data directory of standalone.
const DATA_DIR: &str = "./data";

/// Folders of a standalone operator.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct FolderArgs {
    /// Data directory of a standalone operator [default: ./data, if no kubeconfig exists or
    /// --server is set]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    pub data_dir: Option<PathBuf>,
}

/// The location of resources.
pub enum Place {
    /// A cluster, read with the caller's permissions.
    Cluster(Box<Cluster>),
    /// The data directory of a standalone operator.
    Folder(PathBuf),
}

impl Place {
    /// The location that the flags name.
    pub async fn find(reach: &ReachArgs, folder: &FolderArgs) -> anyhow::Result<Self> {
        let data_dir = || folder.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
        if folder.data_dir.is_some() || reach.server.is_some() {
            return Ok(Self::Folder(data_dir()));
        }
        let cluster = Cluster::find(reach).await?;
        Ok(cluster.map_or_else(|| Self::Folder(data_dir()), |found| Self::Cluster(found.into())))
    }

    /// The operator that serves these resources.
    pub async fn operator(&self, reach: &ReachArgs) -> anyhow::Result<Operator> {
        match self {
            Self::Cluster(cluster) => Operator::of(cluster, reach).await,
            Self::Folder(_) => Operator::standalone(reach),
        }
    }

    /// The namespace to use if none is named; `None` for all.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Cluster(cluster) => Some(cluster.namespace()),
            Self::Folder(_) => None,
        }
    }

    /// The objects of one namespace, or of all.
    ///
    /// # Errors
    /// The objects cannot be read; the error names the API server's reason.
    pub async fn list<K: OperatorResource>(
        &self,
        namespace: Option<&str>,
    ) -> anyhow::Result<Vec<K>> {
        let plural = K::plural(&());
        match self {
            Self::Cluster(cluster) => {
                let api: Api<K> = match namespace {
                    Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
                    None => Api::all(cluster.client.clone()),
                };
                let list = call(api.list(&ListParams::default())).await;
                let list: ObjectList<K> = list.with_context(|| format!("cannot list {plural}"))?;
                Ok(list.items)
            }
            Self::Folder(data_dir) => {
                let list = look::objects::<K>(data_dir, K::KIND).with_context(|| {
                    format!(
                        "{} (--data-dir) has no data of a standalone operator",
                        data_dir.display()
                    )
                })?;
                let is_meant = |object: &K| {
                    namespace.is_none_or(|name| object.meta().namespace.as_deref() == Some(name))
                };
                Ok(list.into_iter().filter(is_meant).collect())
            }
        }
    }

    /// One object, in the given namespace, or in the only namespace that has it.
    ///
    /// # Errors
    /// The object does not exist, or several namespaces have one of this name.
    pub async fn one<K: OperatorResource>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> anyhow::Result<K> {
        let kind = K::KIND.as_str();
        let namespace = namespace.or_else(|| self.namespace());
        if let (Self::Cluster(cluster), Some(namespace)) = (self, namespace) {
            let api: Api<K> = Api::namespaced(cluster.client.clone(), namespace);
            let found = call(api.get_opt(name)).await;
            let found =
                found.with_context(|| format!("cannot read the {kind} {namespace}/{name}"))?;
            return found.with_context(|| format!("{kind} {namespace}/{name} does not exist"));
        }
        let mut named = self.list::<K>(namespace).await?;
        named.retain(|object| object.meta().name.as_deref() == Some(name));
        if named.len() > 1 {
            bail!("several namespaces have a {kind} {name}: use NAMESPACE/{name}");
        }
        let whose = namespace.map_or(String::new(), |namespace| format!("{namespace}/"));
        named.pop().with_context(|| format!("{kind} {whose}{name} does not exist"))
    }

    /// A Secret in a cluster; `None` if it does not exist.
    ///
    /// # Errors
    /// The Secret cannot be read, for example for lack of permission.
    pub async fn secret(&self, key: &Key) -> anyhow::Result<Option<SecretInput>> {
        let Self::Cluster(cluster) = self else { return Ok(None) };
        let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &key.namespace);
        match call(api.get_opt(&key.name)).await {
            Ok(found) => Ok(found.map(SecretInput::of)),
            Err(error) if error.code() == Some(403) => {
                Err(anyhow!("you may not read the Secret {key}"))
            }
            Err(error) => Err(error).with_context(|| format!("cannot read the Secret {key}")),
        }
    }
}

/// The Secrets among these that the manifests contain.
///
/// # Errors
/// The folder cannot be read.
pub fn secrets_of(
    manifests: &std::path::Path,
    wanted: &BTreeSet<Key>,
) -> anyhow::Result<Vec<SecretInput>> {
    look::secrets(manifests, wanted).with_context(|| format!("cannot read {}", manifests.display()))
}
