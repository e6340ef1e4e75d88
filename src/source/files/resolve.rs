//! Computes the state of an object from its declaration and its previous state.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::object::HasSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest::from_yaml;
use super::status_files::to_yaml;
use crate::plan::input::Meta;
use crate::plan::{Change, Key, Observed, OperatorResource};
use crate::resources::validate::{Invalid, Validator};

/// The previous state of an object, from its status file. The object may be invalid.
#[derive(Debug)]
struct Previous {
    object: Value,
    metadata: ObjectMeta,
}

impl Previous {
    fn read(text: &str) -> Option<Self> {
        let object: Value = from_yaml(text).ok()?;
        let metadata = ObjectMeta::deserialize(&object["metadata"]).unwrap_or_default();
        Some(Self { object, metadata })
    }

    fn observed<K: OperatorResource>(&self) -> Observed {
        let status = K::Status::deserialize(&self.object["status"]).ok();
        status.as_ref().map(K::observed).unwrap_or_default()
    }

    /// Whether the spec is equal in all fields.
    fn has_spec(&self, spec: &Value) -> bool {
        self.object["spec"] == *spec
    }

    /// The object as an API server would still store it: the last valid one.
    fn in_force(&self, validator: &Validator) -> Option<Value> {
        let mut value = self.object.clone();
        value.as_object_mut()?.shift_remove("status");
        validator.admit(&mut value, None).ok()?;
        Some(value)
    }
}

/// The declaration of an object and its previous state.
#[derive(Debug)]
pub struct DeclaredObject<K> {
    admitted: Result<Box<K>, Invalid>,
    /// The declared object with defaults.
    value: Value,
    previous: Option<Previous>,
}

impl<K: OperatorResource> DeclaredObject<K> {
    /// Validates a declaration on its own. `previous` is the text of the status file.
    pub fn read(validator: &Validator, mut value: Value, previous: Option<&str>) -> Self {
        remove_server_fields(&mut value);
        let admitted = validator.admit(&mut value, None).and_then(|()| {
            let object = K::deserialize(&value).map_err(|error| Invalid::unreadable(&error));
            object.map(Box::new)
        });
        Self { admitted, value, previous: previous.and_then(Previous::read) }
    }

    /// Replaces the previous state.
    pub fn with_previous(self, previous: &str) -> Self {
        Self { previous: Previous::read(previous), ..self }
    }
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

/// The state and time in which a declaration is evaluated.
#[derive(Debug)]
pub struct ObjectContext {
    /// The key, with an interned namespace.
    pub key: Key,
    /// The metadata of the object in force, if there is one.
    pub known: Option<Meta>,
    /// The current time in whole seconds.
    pub now: Timestamp,
}

/// The resulting state of an object.
#[derive(Debug)]
pub struct Resolution {
    /// The change for the planner, if any.
    pub change: Option<Change>,
    /// The text of its status file without the status, if it changed.
    pub text: Option<String>,
    /// Why the declaration is not in force.
    pub rejected: Option<Invalid>,
}

/// Computes the state of an object as an API server would: a valid declaration replaces the
/// previous object, an invalid one does not.
pub fn resolve<K: OperatorResource>(
    validator: &Validator,
    candidate: DeclaredObject<K>,
    context: ObjectContext,
) -> Resolution {
    let DeclaredObject { admitted, value, previous } = candidate;
    let previous = previous.as_ref();
    match admitted.and_then(|object| check_transition(validator, object, &value, previous)) {
        Ok(object) => accept(*object, previous, context),
        Err(why) => match previous.and_then(|previous| last_valid::<K>(validator, previous)) {
            Some(object) => keep_previous(object, context, why),
            None => show_invalid::<K>(&value, previous, context, why),
        },
    }
}

/// The last valid object, with its status.
fn last_valid<K: OperatorResource>(validator: &Validator, previous: &Previous) -> Option<K> {
    previous.in_force(validator)?;
    let mut object = K::deserialize(&previous.object).ok()?;
    // Only an API server assigns UIDs; one in a file belongs to another cluster.
    object.meta_mut().uid = None;
    Some(object)
}

fn spec_of(object: &impl HasSpec<Spec: Serialize>) -> Value {
    // Specs contain only JSON types, so this cannot fail.
    serde_json::to_value(object.spec()).unwrap_or_default()
}

fn check_transition<K: OperatorResource>(
    validator: &Validator,
    object: Box<K>,
    value: &Value,
    previous: Option<&Previous>,
) -> Result<Box<K>, Invalid> {
    let other = previous.filter(|previous| !previous.has_spec(&spec_of(object.as_ref())));
    if let Some(before) = other.and_then(|previous| previous.in_force(validator)) {
        validator.keep_to_rules(value, Some(&before))?;
    }
    Ok(object)
}

/// Puts the declared object in force.
fn accept<K: OperatorResource>(
    mut object: K,
    previous: Option<&Previous>,
    context: ObjectContext,
) -> Resolution {
    let same_spec = previous.is_some_and(|previous| previous.has_spec(&spec_of(&object)));
    let given = object.meta_mut().creation_timestamp.take().map(|time| time.0);
    let (created, generation) = creation_and_generation(given, previous, same_spec, &context);
    object.meta_mut().creation_timestamp = Some(Time(created));
    object.meta_mut().generation = Some(generation);
    let is_new = !same_spec || previous.is_some_and(|previous| previous.metadata != *object.meta());
    let change = (is_new || context.known.is_none()).then(|| {
        object.upsert(|meta| {
            meta.observed = observed::<K>(context.known.as_ref(), previous);
            meta.key = context.key;
        })
    });
    Resolution { change, text: is_new.then(|| to_yaml(&object)), rejected: None }
}

/// Keeps the previous object in force.
fn keep_previous<K: OperatorResource>(
    object: K,
    context: ObjectContext,
    why: Invalid,
) -> Resolution {
    let change = context.known.is_none().then(|| {
        // Its status is the one in the status file.
        object.upsert(|meta| meta.key = context.key)
    });
    Resolution { change, text: None, rejected: Some(why) }
}

/// There is no valid previous object: shows the declared object with its error.
fn show_invalid<K: OperatorResource>(
    value: &Value,
    previous: Option<&Previous>,
    context: ObjectContext,
    why: Invalid,
) -> Resolution {
    let spec = &value["spec"];
    let same_spec = previous.is_some_and(|previous| previous.has_spec(spec));
    let given = serde_json::from_value(value["metadata"]["creationTimestamp"].clone()).ok();
    let given = given.map(|time: Time| time.0);
    let (created, generation) = creation_and_generation(given, previous, same_spec, &context);
    let observed = observed::<K>(context.known.as_ref(), previous);
    let key = context.key;
    let text = to_yaml(&json!({
        "apiVersion": value["apiVersion"],
        "kind": value["kind"],
        "metadata": {
            "name": &*key.name,
            "namespace": &*key.namespace,
            "creationTimestamp": Time(created),
            "generation": generation,
        },
        "spec": spec,
    }));
    let meta = Meta { key, created: created.as_second(), generation, observed };
    Resolution {
        change: Some(K::malformed(&ObjectMeta::default(), meta, &why.to_string())),
        text: Some(text),
        rejected: Some(why),
    }
}

/// The creation time and the generation of an object.
fn creation_and_generation(
    given: Option<Timestamp>,
    previous: Option<&Previous>,
    same_spec: bool,
    context: &ObjectContext,
) -> (Timestamp, i64) {
    let (previous, known) = (previous.map(|previous| &previous.metadata), context.known.as_ref());
    let past_created = previous.and_then(|previous| Some(previous.creation_timestamp.as_ref()?.0));
    let known_created = known.and_then(|meta| Timestamp::from_second(meta.created).ok());
    let created = given.or(past_created).or(known_created);
    let past_generation = previous.and_then(|previous| previous.generation);
    let before = past_generation.or(known.map(|meta| meta.generation)).unwrap_or(0);
    let generation = if same_spec && before > 0 { before } else { before + 1 };
    (created.unwrap_or(context.now), generation)
}

/// The status of the object. If its file has none (it is new or was damaged), only the UUID is
/// kept, so that a status is written.
fn observed<K: OperatorResource>(known: Option<&Meta>, previous: Option<&Previous>) -> Observed {
    let previous = previous.map(Previous::observed::<K>).unwrap_or_default();
    let Some(known) = known else { return previous };
    if previous != Observed::default() {
        return known.observed.clone();
    }
    let mut observed = Observed::default();
    observed.uuid = known.observed.uuid;
    observed
}
