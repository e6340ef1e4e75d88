//! The watched kinds, and how their objects become changes for the planner.

use std::collections::HashSet;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Resource;
use serde::de::DeserializeOwned;

use super::raw::Raw;
use crate::plan::input::Meta;
use crate::plan::{Change, Key, OperatorResource, Planner, SecretInput, ServiceInput, SliceInput};

/// A watched kind.
pub trait WatchedKind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + 'static
{
    /// The change for an object that exists.
    fn upsert(self) -> Change;

    /// The change for an observed object. One that is being deleted counts as deleted, even while a
    /// finalizer keeps it: it must not serve any more.
    fn into_change(self) -> Change {
        if is_terminating(&self) { Self::deletion(Key::of(&self)) } else { self.upsert() }
    }

    /// The change for a deleted object.
    fn deletion(key: Key) -> Change;

    /// The changes for known objects that are missing in a list.
    fn missing(planner: &Planner, listed: &HashSet<Key>) -> Vec<Change>;
}

/// Whether an object is being deleted.
pub fn is_terminating(object: &impl Resource) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Every kind of the operator. A malformed spec is a change as well: the object's status reports it.
impl<K: OperatorResource> WatchedKind for Raw<K> {
    fn upsert(mut self) -> Change {
        let status = self.take_status();
        match self.take_spec() {
            Ok(spec) => K::from_parts(self.take_metadata(), spec, status).upsert(|_| ()),
            Err(why) => {
                let observed = status.as_ref().map(K::observed).unwrap_or_default();
                K::malformed(self.meta(), Meta::of(&self, observed), &why)
            }
        }
    }

    fn deletion(key: Key) -> Change {
        K::deletion(key)
    }

    fn missing(planner: &Planner, listed: &HashSet<Key>) -> Vec<Change> {
        planner.gone(K::KIND, listed)
    }
}

impl WatchedKind for Service {
    fn upsert(self) -> Change {
        Change::Service(ServiceInput::of(&self))
    }

    fn deletion(key: Key) -> Change {
        Change::ServiceGone(key)
    }

    fn missing(planner: &Planner, listed: &HashSet<Key>) -> Vec<Change> {
        planner.services().missing(listed).into_iter().map(Change::ServiceGone).collect()
    }
}

impl WatchedKind for Secret {
    fn upsert(self) -> Change {
        Change::Secret(SecretInput::of(self))
    }

    fn deletion(key: Key) -> Change {
        Change::SecretGone(key)
    }

    fn missing(planner: &Planner, listed: &HashSet<Key>) -> Vec<Change> {
        planner.secrets().missing(listed).into_iter().map(Change::SecretGone).collect()
    }
}

impl WatchedKind for EndpointSlice {
    fn upsert(self) -> Change {
        SliceInput::of(&self).map_or_else(|| Change::SliceGone(Key::of(&self)), Change::Slice)
    }

    fn deletion(key: Key) -> Change {
        Change::SliceGone(key)
    }

    fn missing(planner: &Planner, listed: &HashSet<Key>) -> Vec<Change> {
        planner.services().missing_slices(listed).into_iter().map(Change::SliceGone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::AppInput;
    use crate::resources::WebhookApp;
    use serde_json::json;

    fn app(spec: serde_json::Value) -> AppInput {
        let object = json!({
            "metadata": {"namespace": "a", "name": "b", "uid": "u", "generation": 3},
            "spec": spec,
            "status": {
                "uuid": "14361375-54d4-4ddb-8d2d-0dd212e13cd1",
                "conditions": [{"type": "Other", "is": "not ours"}],
            },
        });
        let raw: Raw<WebhookApp> = serde_json::from_value(object).unwrap();
        match raw.upsert() {
            Change::App(input) => input,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_malformed_spec_keeps_metadata_and_status_and_says_what_is_wrong() {
        let good = app(json!({"listener": {"url": "http://example.com"}}));
        let bad = app(json!({"listener": 1}));
        assert!(good.spec.is_ok());
        assert!(bad.spec.unwrap_err().starts_with("spec cannot be read: invalid type"));
        assert!(bad.meta.observed.uuid.is_some());
        assert_eq!((good.meta, good.uid), (bad.meta, bad.uid));
    }

    #[test]
    fn an_object_without_a_spec_is_malformed_and_not_an_error() {
        assert!(app(serde_json::Value::Null).spec.is_err());
    }
}
