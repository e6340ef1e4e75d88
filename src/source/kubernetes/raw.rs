//! An object as it came, before it is known whether its spec can be read.
//!
//! kube's `DeserializeGuard` keeps nothing but the metadata of a malformed object. The status is
//! needed too: a UUID once given stays, and a status that already says `Invalid` is not written
//! again.

use std::borrow::Cow;
use std::fmt::Debug;
use std::marker::PhantomData;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::resources::conditions;

/// An object of kind `K`; reading it never fails, so that it cannot stop a watch.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub struct Raw<K> {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K> Raw<K> {
    /// Takes the spec out, or says what is wrong with it.
    pub fn take_spec<Spec: DeserializeOwned>(&mut self) -> Result<Spec, String> {
        serde_json::from_value(self.spec.take())
            .map_err(|error| format!("spec cannot be read: {error}"))
    }

    /// Takes the status out, where there is one that can be read.
    pub fn take_status<Status: DeserializeOwned>(&mut self) -> Option<Status> {
        serde_json::from_value(ours(self.status.take())).ok()
    }

    /// Takes the metadata out.
    pub fn take_metadata(&mut self) -> ObjectMeta {
        std::mem::take(&mut self.metadata)
    }
}

/// A status without the conditions of others, which may look as they like.
fn ours(mut status: Value) -> Value {
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| {
            condition["type"].as_str().is_some_and(|type_| {
                conditions::TYPES.contains(&type_) || type_ == conditions::LISTENER_REACHABLE
            })
        });
    }
    status
}

impl<K> Resource for Raw<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
