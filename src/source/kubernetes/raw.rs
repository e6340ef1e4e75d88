//! An object as received, before its spec is deserialized.
//!
//! kube's `DeserializeGuard` keeps only the metadata of a malformed object. The operator needs the
//! status as well: an assigned UUID is kept, and a status that already reports `Invalid` is not
//! written again.

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

/// An object of kind `K`. Deserialization never fails, so a malformed object cannot stop a watch.
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
    /// Takes the spec, or the error in it.
    pub fn take_spec<Spec: DeserializeOwned>(&mut self) -> Result<Spec, String> {
        serde_json::from_value(self.spec.take())
            .map_err(|error| format!("spec cannot be read: {error}"))
    }

    /// Takes the status, if it exists and is readable.
    pub fn take_status<Status: DeserializeOwned>(&mut self) -> Option<Status> {
        serde_json::from_value(keep_own_conditions(self.status.take())).ok()
    }

    /// Takes the metadata.
    pub fn take_metadata(&mut self) -> ObjectMeta {
        std::mem::take(&mut self.metadata)
    }
}

/// Removes the conditions of other controllers, which may have any form.
fn keep_own_conditions(mut status: Value) -> Value {
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
