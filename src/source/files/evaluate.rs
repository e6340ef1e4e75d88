//! Computes the state of an object as an API server would: a valid declaration replaces the
//! previous object, an invalid one does not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMetaExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::core::Core;
use super::manifest::{ObjectId, from_yaml};
use super::status_files::to_yaml;
use crate::plan::input::Meta;
use crate::plan::{Change, Key, Kind, ObjectRef, Observed, OperatorResource};
use crate::resources::validate::{Invalid, Validator};
use crate::resources::{Webhook, WebhookApp};

/// What a declaration results in.
#[derive(Debug)]
pub struct Evaluation {
    /// The object.
    pub id: ObjectId,
    /// The state of the object, with the status in its status file; `None` if there is no state.
    change: Option<Change>,
    /// Whether this state differs from the previous one.
    is_new: bool,
    /// The text of its status file without the status, if it changed.
    pub text: Option<String>,
    /// Why the declaration is not in force.
    pub rejected: Option<Invalid>,
}

impl Evaluation {
    /// The result for a kind without a status.
    pub fn without_status(id: ObjectId, change: Result<Change, Invalid>) -> Self {
        let (change, rejected) = match change {
            Ok(change) => (Some(change), None),
            Err(why) => (None, Some(why)),
        };
        Self { id, change, is_new: true, text: None, rejected }
    }

    /// The change for the planner, if there is one. `known` is the metadata that the planner has.
    pub fn into_change(self, key: &Key, known: Option<&Meta>) -> Option<Change> {
        let mut change = self.change.filter(|_| self.is_new || known.is_none())?;
        if let Some(meta) = meta_of(&mut change) {
            meta.key = key.clone();
            let is_unknown = meta.observed == Observed::default();
            match known {
                None => {}
                // The file is new or was damaged: only the UUID is kept, so that it is written.
                Some(known) if is_unknown => meta.observed.uuid = known.observed.uuid,
                Some(known) => meta.observed = known.observed.clone(),
            }
        }
        Some(change)
    }
}

fn meta_of(change: &mut Change) -> Option<&mut Meta> {
    match change {
        Change::App(app) => Some(&mut app.meta),
        Change::Webhook(webhook) => Some(&mut webhook.meta),
        _ => None,
    }
}

/// Evaluates a declaration. `now` is in whole seconds, as timestamps in status files are.
pub fn evaluate(core: &Core, object: ObjectRef, mut value: Value, now: Timestamp) -> Evaluation {
    let (kind, validator) = (object.kind, core.validator(object.kind));
    let previous = core.status_text(&object).and_then(|text| Previous::read(kind, &text));
    let previous = previous.as_ref();
    let admitted = admit(kind, validator, &mut value, previous);
    let rejected = admitted.as_ref().err().cloned();
    let last_valid = || previous.and_then(|previous| previous.last_valid(kind, validator));
    let state = match admitted.or_else(|why| last_valid().ok_or(why)) {
        Ok(valid) => valid,
        Err(why) => State::invalid(kind, &value, &object.key, &why),
    };
    let known = core.current_meta(&object);
    let State { mut metadata, spec, mut change, is_valid } = state;
    let same_spec = previous.is_some_and(|previous| previous.object["spec"] == spec);
    let given = metadata.creation_timestamp.take().map(|time| time.0);
    let (created, generation) =
        creation_and_generation(given, previous, known.as_ref(), same_spec, now);
    metadata.creation_timestamp = Some(Time(created));
    metadata.generation = Some(generation);
    if let Some(meta) = meta_of(&mut change) {
        let observed = previous.map(|previous| previous.observed.clone()).unwrap_or_default();
        let key = object.key.clone();
        *meta = Meta { key, created: created.as_second(), generation, observed };
    }
    let same_metadata = previous.is_some_and(|previous| previous.metadata == metadata);
    let is_new = !(is_valid && same_spec && same_metadata);
    let text = is_new.then(|| {
        to_yaml(&ShownObject {
            api_version: &value["apiVersion"],
            kind: &value["kind"],
            metadata: &metadata,
            spec: &spec,
        })
    });
    let id = ObjectId::custom(object.kind, object.key);
    Evaluation { id, change: Some(change), is_new, text, rejected }
}

/// An object as in its status file, without its status.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownObject<'a> {
    api_version: &'a Value,
    kind: &'a Value,
    metadata: &'a ObjectMeta,
    spec: &'a Value,
}

/// The previous state of an object, from its status file. The object may be invalid.
struct Previous {
    object: Value,
    metadata: ObjectMeta,
    observed: Observed,
}

impl Previous {
    fn read(kind: Kind, text: &str) -> Option<Self> {
        let object: Value = from_yaml(text).ok()?;
        let metadata = ObjectMeta::deserialize(&object["metadata"]).unwrap_or_default();
        let observed = observed(kind, &object["status"]).unwrap_or_default();
        Some(Self { object, metadata, observed })
    }

    /// The object as an API server would still store it: the last valid one.
    fn in_force(&self, validator: &Validator) -> Option<Value> {
        let mut value = self.object.clone();
        value.as_object_mut()?.shift_remove("status");
        validator.admit(&mut value, None).ok()?;
        Some(value)
    }

    fn last_valid(&self, kind: Kind, validator: &Validator) -> Option<State> {
        self.in_force(validator)?;
        let state = State::valid(kind, &self.object).ok()?;
        Some(State { spec: self.object["spec"].clone(), ..state })
    }
}

fn observed(kind: Kind, status: &Value) -> serde_json::Result<Observed> {
    match kind {
        Kind::WebhookApp => Ok(WebhookApp::observed(&Deserialize::deserialize(status)?)),
        Kind::Webhook => Ok(Webhook::observed(&Deserialize::deserialize(status)?)),
    }
}

/// The state of an object, apart from what the operator sets.
struct State {
    metadata: ObjectMeta,
    /// The spec as shown.
    spec: Value,
    change: Change,
    is_valid: bool,
}

impl State {
    fn valid(kind: Kind, value: &Value) -> serde_json::Result<Self> {
        match kind {
            Kind::WebhookApp => Self::valid_of::<WebhookApp>(value),
            Kind::Webhook => Self::valid_of::<Webhook>(value),
        }
    }

    fn valid_of<K: OperatorResource>(value: &Value) -> serde_json::Result<Self> {
        let mut object = K::deserialize(value)?;
        // No API server assigns UIDs here, and a UID in a file is that of another cluster.
        object.meta_mut().uid = None;
        // The types drop nulls from the spec.
        let (change, spec) = (object.upsert(|_| ()), serde_json::to_value(object.spec())?);
        let metadata = ObjectMeta::deserialize(&value["metadata"])?;
        Ok(Self { metadata, spec, change, is_valid: true })
    }

    /// An invalid object without a valid previous one is shown with its error.
    fn invalid(kind: Kind, value: &Value, key: &Key, why: &Invalid) -> Self {
        let metadata = ObjectMeta {
            name: Some(key.name.as_ref().into()),
            namespace: Some(key.namespace.as_ref().into()),
            creation_timestamp: Time::deserialize(&value["metadata"]["creationTimestamp"]).ok(),
            ..ObjectMeta::default()
        };
        let object = metadata.clone().into_response_partial::<Webhook>();
        let (meta, why) = (Meta::of(&object, Observed::default()), why.to_string());
        let change = match kind {
            Kind::WebhookApp => WebhookApp::malformed(&metadata, meta, &why),
            Kind::Webhook => Webhook::malformed(&metadata, meta, &why),
        };
        Self { metadata, spec: value["spec"].clone(), change, is_valid: false }
    }
}

/// Validates a declaration, and sets its defaults. A change must also be permitted.
fn admit(
    kind: Kind,
    validator: &Validator,
    value: &mut Value,
    previous: Option<&Previous>,
) -> Result<State, Invalid> {
    remove_server_fields(value);
    validator.admit(value, None)?;
    let state = State::valid(kind, value).map_err(|error| Invalid::unreadable(&error))?;
    let changed = previous.filter(|previous| previous.object["spec"] != state.spec);
    if let Some(before) = changed.and_then(|previous| previous.in_force(validator)) {
        validator.keep_to_rules(value, Some(&before))?;
    }
    Ok(state)
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

/// The creation time and the generation of an object.
fn creation_and_generation(
    given: Option<Timestamp>,
    previous: Option<&Previous>,
    known: Option<&Meta>,
    same_spec: bool,
    now: Timestamp,
) -> (Timestamp, i64) {
    let previous = previous.map(|previous| &previous.metadata);
    let past_created = previous.and_then(|previous| Some(previous.creation_timestamp.as_ref()?.0));
    let known_created = known.and_then(|meta| Timestamp::from_second(meta.created).ok());
    let created = given.or(past_created).or(known_created).unwrap_or(now);
    let past_generation = previous.and_then(|previous| previous.generation);
    let before = past_generation.or(known.map(|meta| meta.generation)).unwrap_or(0);
    (created, if same_spec && before > 0 { before } else { before + 1 })
}
