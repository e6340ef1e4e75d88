//! Computes the state of an object as an API server would: a valid declaration replaces the
//! previous object, an invalid one does not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMetaExt;
use kube::core::object::{HasSpec, HasStatus};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::core::Core;
use super::manifest::from_yaml;
use super::status_files::to_yaml;
use crate::plan::input::Meta;
use crate::plan::{AppInput, Change, Key, ObjectRef, Observed, WebhookInput};
use crate::resources::validate::{Invalid, Validator};
use crate::resources::{Webhook, WebhookApp};

/// What a declaration results in.
#[derive(Debug)]
pub struct Evaluation {
    /// The state of the object, without what was observed; `None` if there is none.
    pub change: Option<Change>,
    /// Whether this state differs from the previous one.
    pub is_new: bool,
    /// The text of its status file without the status, if it changed.
    pub text: Option<String>,
    /// The status in its status file.
    pub observed: Observed,
    /// Why the declaration is not in force.
    pub rejected: Option<Invalid>,
}

impl Evaluation {
    /// The result for a kind without a status.
    pub fn without_status(change: Result<Change, Invalid>) -> Self {
        let (change, rejected) = match change {
            Ok(change) => (Some(change), None),
            Err(why) => (None, Some(why)),
        };
        Self { change, is_new: true, text: None, observed: Observed::default(), rejected }
    }

    /// The change for the planner, if there is one. `known` is the metadata that the planner has.
    pub fn into_change(self, key: &Key, known: Option<&Meta>) -> Option<Change> {
        let mut change = self.change.filter(|_| self.is_new || known.is_none())?;
        if let Change::App(AppInput { meta, .. }) | Change::Webhook(WebhookInput { meta, .. }) =
            &mut change
        {
            meta.key = key.clone();
            meta.observed = observed(known, self.observed);
        }
        Some(change)
    }
}

/// The status of an object. If its file has none (it is new or was damaged), only the UUID is kept,
/// so that a status is written.
fn observed(known: Option<&Meta>, previous: Observed) -> Observed {
    match known {
        None => previous,
        Some(known) if previous != Observed::default() => known.observed.clone(),
        Some(known) => {
            let mut observed = Observed::default();
            observed.uuid = known.observed.uuid;
            observed
        }
    }
}

/// A custom resource with a status.
pub trait CustomResource:
    kube::Resource<DynamicType = ()>
    + HasSpec<Spec: Serialize>
    + HasStatus<Status: DeserializeOwned>
    + DeserializeOwned
{
    /// Its validator.
    fn validator(core: &Core) -> &Validator;
    /// The part of a status that the planner uses.
    fn observed(status: &Self::Status) -> Observed;
    /// The change for a valid object.
    fn change(&self) -> Change;
    /// The change for an invalid object.
    fn malformed(metadata: ObjectMeta, why: &Invalid) -> Change;
}

impl CustomResource for WebhookApp {
    fn validator(core: &Core) -> &Validator {
        &core.apps
    }

    fn observed(status: &Self::Status) -> Observed {
        Observed::of_app(status)
    }

    fn change(&self) -> Change {
        Change::App(AppInput::of_file(self))
    }

    fn malformed(metadata: ObjectMeta, why: &Invalid) -> Change {
        let object = metadata.into_response_partial::<Self>();
        let input = AppInput::malformed(&object, &why.to_string());
        Change::App(AppInput { instance: Box::default(), ..input })
    }
}

impl CustomResource for Webhook {
    fn validator(core: &Core) -> &Validator {
        &core.webhooks
    }

    fn observed(status: &Self::Status) -> Observed {
        Observed::of_webhook(status)
    }

    fn change(&self) -> Change {
        Change::Webhook(WebhookInput::of(self))
    }

    fn malformed(metadata: ObjectMeta, why: &Invalid) -> Change {
        let object = metadata.into_response_partial::<Self>();
        Change::Webhook(WebhookInput::malformed(&object, &why.to_string()))
    }
}

/// An object and its spec as JSON.
type WithSpec<K> = (K, Value);

/// The previous state of an object, from its status file. The object may be invalid.
#[derive(Debug, Default)]
struct Previous {
    object: Value,
    metadata: ObjectMeta,
    observed: Observed,
}

impl Previous {
    fn read<K: CustomResource>(text: &str) -> Option<Self> {
        let object: Value = from_yaml(text).ok()?;
        let metadata = ObjectMeta::deserialize(&object["metadata"]).unwrap_or_default();
        let status = K::Status::deserialize(&object["status"]).ok();
        let observed = status.as_ref().map(K::observed).unwrap_or_default();
        Some(Self { object, metadata, observed })
    }

    /// The object as an API server would still store it: the last valid one.
    fn in_force(&self, validator: &Validator) -> Option<Value> {
        let mut value = self.object.clone();
        value.as_object_mut()?.shift_remove("status");
        validator.admit(&mut value, None).ok()?;
        Some(value)
    }

    fn last_valid<K: CustomResource>(&self, validator: &Validator) -> Option<WithSpec<K>> {
        self.in_force(validator)?;
        Some((K::deserialize(&self.object).ok()?, self.object["spec"].clone()))
    }
}

/// Evaluates a declaration. `now` is in whole seconds, as timestamps in status files are.
pub fn evaluate<K: CustomResource>(
    core: &Core,
    object: &ObjectRef,
    mut value: Value,
    now: Timestamp,
) -> Evaluation {
    let validator = K::validator(core);
    let previous = core.status_text(object).and_then(|text| Previous::read::<K>(&text));
    let previous = previous.as_ref();
    let known = core.current_meta(object);
    let admitted = admit::<K>(validator, &mut value, previous);
    let rejected = admitted.as_ref().err().cloned();
    let valid = admitted.or_else(|why| previous.and_then(|it| it.last_valid(validator)).ok_or(why));

    let (mut metadata, spec) = match &valid {
        Ok((object, spec)) => (object.meta().clone(), spec),
        Err(_) => (minimal_metadata(&value, &object.key), &value["spec"]),
    };
    let same_spec = previous.is_some_and(|previous| previous.object["spec"] == *spec);
    set_creation_and_generation(&mut metadata, previous, known.as_ref(), same_spec, now);
    let same_metadata = previous.is_some_and(|previous| previous.metadata == metadata);
    let is_new = valid.is_err() || !(same_spec && same_metadata);
    let text = is_new.then(|| {
        to_yaml(&json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": metadata,
            "spec": spec,
        }))
    });
    let change = match valid {
        Ok((mut object, _)) => {
            *object.meta_mut() = metadata;
            object.change()
        }
        Err(why) => K::malformed(metadata, &why),
    };
    let observed = previous.map(|previous| previous.observed.clone()).unwrap_or_default();
    Evaluation { change: Some(change), is_new, text, observed, rejected }
}

/// Validates a declaration, and sets its defaults. A change must also be permitted.
fn admit<K: CustomResource>(
    validator: &Validator,
    value: &mut Value,
    previous: Option<&Previous>,
) -> Result<WithSpec<K>, Invalid> {
    remove_server_fields(value);
    validator.admit(value, None)?;
    let object = K::deserialize(&*value).map_err(|error| Invalid::unreadable(&error))?;
    // Specs contain only JSON types, so this cannot fail.
    let spec = serde_json::to_value(object.spec()).unwrap_or_default();
    let changed = previous.filter(|previous| previous.object["spec"] != spec);
    if let Some(before) = changed.and_then(|previous| previous.in_force(validator)) {
        validator.keep_to_rules(value, Some(&before))?;
    }
    Ok((object, spec))
}

/// Removes fields that servers set. Exported objects contain them, but they are ignored here.
fn remove_server_fields(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    object.shift_remove("status");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "resourceVersion", "generation", "managedFields", "selfLink"] {
            metadata.shift_remove(field);
        }
    }
}

/// The metadata of an invalid object without a valid previous one.
fn minimal_metadata(value: &Value, key: &Key) -> ObjectMeta {
    ObjectMeta {
        name: Some(key.name.as_ref().into()),
        namespace: Some(key.namespace.as_ref().into()),
        creation_timestamp: Time::deserialize(&value["metadata"]["creationTimestamp"]).ok(),
        ..ObjectMeta::default()
    }
}

/// Sets the creation time and the generation, as far as they are known.
fn set_creation_and_generation(
    metadata: &mut ObjectMeta,
    previous: Option<&Previous>,
    known: Option<&Meta>,
    same_spec: bool,
    now: Timestamp,
) {
    let previous = previous.map(|previous| &previous.metadata);
    let created = || Timestamp::from_second(known?.created).ok();
    let created = || Time(created().unwrap_or(now));
    let past_created = previous.and_then(|previous| previous.creation_timestamp.clone());
    metadata.creation_timestamp =
        metadata.creation_timestamp.take().or(past_created).or_else(|| Some(created()));
    let past_generation = previous.and_then(|previous| previous.generation);
    let before = past_generation.or(known.map(|meta| meta.generation)).unwrap_or(0);
    metadata.generation = Some(if same_spec && before > 0 { before } else { before + 1 });
}
