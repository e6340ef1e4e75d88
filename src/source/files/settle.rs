//! Settles what an object is from now on: what is declared now, against what was before.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::object::{HasSpec, HasStatus};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest::from_yaml;
use super::status_files::to_yaml;
use crate::plan::input::Meta;
use crate::plan::{AppInput, Change, Key, Kind, Observed, WebhookInput};
use crate::resources::validate::{Invalid, Validator};
use crate::resources::{Webhook, WebhookApp};

/// A kind with a status.
pub trait Kept:
    kube::Resource<DynamicType = ()>
    + HasSpec<Spec: Serialize>
    + HasStatus<Status: DeserializeOwned>
    + Serialize
    + DeserializeOwned
{
    /// The kind.
    const KIND: Kind;
    /// What the planner remembers of a status.
    fn observed(status: &Self::Status) -> Observed;
    /// What the planner is told of a good object.
    fn input(&self, meta: impl FnOnce(&mut Meta)) -> Change;
    /// What the planner is told of one that is no good.
    fn malformed(meta: Meta, why: &Invalid) -> Change;
}

impl Kept for WebhookApp {
    const KIND: Kind = Kind::WebhookApp;

    fn observed(status: &Self::Status) -> Observed {
        Observed::of_app(status)
    }

    fn input(&self, meta: impl FnOnce(&mut Meta)) -> Change {
        let mut input = AppInput::of_file(self);
        meta(&mut input.meta);
        Change::App(input)
    }

    fn malformed(meta: Meta, why: &Invalid) -> Change {
        Change::App(AppInput {
            meta,
            uid: None,
            instance: Box::default(),
            spec: Err(why.to_string().into()),
        })
    }
}

impl Kept for Webhook {
    const KIND: Kind = Kind::Webhook;

    fn observed(status: &Self::Status) -> Observed {
        Observed::of_webhook(status)
    }

    fn input(&self, meta: impl FnOnce(&mut Meta)) -> Change {
        let mut input = WebhookInput::of(self);
        meta(&mut input.meta);
        Change::Webhook(input)
    }

    fn malformed(meta: Meta, why: &Invalid) -> Change {
        Change::Webhook(WebhookInput { meta, spec: Err(why.to_string().into()) })
    }
}

/// What is remembered of an object: what its status file says. It need not be valid.
#[derive(Debug)]
struct Past {
    object: Value,
    metadata: ObjectMeta,
}

impl Past {
    fn read(text: &str) -> Option<Self> {
        let object: Value = from_yaml(text).ok()?;
        let metadata = ObjectMeta::deserialize(&object["metadata"]).unwrap_or_default();
        Some(Self { object, metadata })
    }

    fn observed<K: Kept>(&self) -> Observed {
        let status = K::Status::deserialize(&self.object["status"]).ok();
        status.as_ref().map(K::observed).unwrap_or_default()
    }

    /// Whether the spec is this one, in every field.
    fn has_spec(&self, spec: &Value) -> bool {
        self.object["spec"] == *spec
    }

    /// The object as an API server would still have it: the last that was valid.
    fn in_force(&self, validator: &Validator) -> Option<Value> {
        let mut value = self.object.clone();
        value.as_object_mut()?.shift_remove("status");
        validator.admit(&mut value, None).ok()?;
        Some(value)
    }
}

/// What a document says of an object, and what is remembered of it.
#[derive(Debug)]
pub struct Candidate<K> {
    admitted: Result<Box<K>, Invalid>,
    /// The object as it was declared, with defaults.
    value: Value,
    past: Option<Past>,
}

impl<K: Kept> Candidate<K> {
    /// Checks what is declared, by itself. `past` is the text of the status file.
    pub fn read(validator: &Validator, mut value: Value, past: Option<&str>) -> Self {
        forget_what_servers_set(&mut value);
        let admitted = validator.admit(&mut value, None).and_then(|()| {
            let object = K::deserialize(&value).map_err(|error| Invalid::unreadable(&error));
            object.map(Box::new)
        });
        Self { admitted, value, past: past.and_then(Past::read) }
    }

    /// The same with other memories.
    pub fn with_past(self, past: &str) -> Self {
        Self { past: Past::read(past), ..self }
    }
}

/// Exported objects have these; here they mean nothing.
fn forget_what_servers_set(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    object.shift_remove("status");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "resourceVersion", "generation", "managedFields", "selfLink"] {
            metadata.shift_remove(field);
        }
    }
}

/// What an object is settled with.
#[derive(Debug)]
pub struct Circumstances {
    /// Its key, as it is kept.
    pub key: Key,
    /// What the planner knows of it, where it is in force already.
    pub known: Option<Meta>,
    /// The present second.
    pub now: Timestamp,
}

/// What follows for an object.
#[derive(Debug)]
pub struct Settled {
    /// What the planner must be told, if anything.
    pub change: Option<Change>,
    /// The text of its status file up to the status, where it is another than before.
    pub draft: Option<String>,
    /// Why what is declared is not in force.
    pub refused: Option<Invalid>,
}

/// Settles what an object is from now on, as an API server would: what is valid takes the place of
/// what was, what is not leaves it.
pub fn settle<K: Kept>(
    validator: &Validator,
    candidate: Candidate<K>,
    circumstances: Circumstances,
) -> Settled {
    let Candidate { admitted, value, past } = candidate;
    let past = past.as_ref();
    match admitted.and_then(|object| check_transition(validator, object, &value, past)) {
        Ok(object) => accept(*object, past, circumstances),
        Err(why) => match past.and_then(|past| last_valid::<K>(validator, past)) {
            Some(object) => keep(object, circumstances, why),
            None => show::<K>(&value, past, circumstances, why),
        },
    }
}

/// The last object that was valid, with its status.
fn last_valid<K: Kept>(validator: &Validator, past: &Past) -> Option<K> {
    past.in_force(validator)?;
    K::deserialize(&past.object).ok()
}

fn spec_of(object: &impl HasSpec<Spec: Serialize>) -> Value {
    // A spec of ours is made of what JSON knows.
    serde_json::to_value(object.spec()).unwrap_or_default()
}

fn check_transition<K: Kept>(
    validator: &Validator,
    object: Box<K>,
    value: &Value,
    past: Option<&Past>,
) -> Result<Box<K>, Invalid> {
    let other = past.filter(|past| !past.has_spec(&spec_of(object.as_ref())));
    if let Some(before) = other.and_then(|past| past.in_force(validator)) {
        validator.keep_to_rules(value, Some(&before))?;
    }
    Ok(object)
}

/// What is declared is in force.
fn accept<K: Kept>(mut object: K, past: Option<&Past>, circumstances: Circumstances) -> Settled {
    let same_spec = past.is_some_and(|past| past.has_spec(&spec_of(&object)));
    let given = object.meta_mut().creation_timestamp.take().map(|time| time.0);
    let (created, generation) = age(given, past, same_spec, &circumstances);
    object.meta_mut().creation_timestamp = Some(Time(created));
    object.meta_mut().generation = Some(generation);
    let is_new = !same_spec || past.is_some_and(|past| past.metadata != *object.meta());
    let change = (is_new || circumstances.known.is_none()).then(|| {
        object.input(|meta| {
            meta.observed = observed::<K>(circumstances.known.as_ref(), past);
            meta.key = circumstances.key;
        })
    });
    Settled { change, draft: is_new.then(|| to_yaml(&object)), refused: None }
}

/// What was before stays in force.
fn keep<K: Kept>(object: K, circumstances: Circumstances, why: Invalid) -> Settled {
    let change = circumstances.known.is_none().then(|| {
        // Its status is that of the status file.
        object.input(|meta| meta.key = circumstances.key)
    });
    Settled { change, draft: None, refused: Some(why) }
}

/// Nothing valid was there before: the object is shown with what is wrong.
fn show<K: Kept>(
    value: &Value,
    past: Option<&Past>,
    circumstances: Circumstances,
    why: Invalid,
) -> Settled {
    let spec = &value["spec"];
    let same_spec = past.is_some_and(|past| past.has_spec(spec));
    let given = serde_json::from_value(value["metadata"]["creationTimestamp"].clone()).ok();
    let given = given.map(|time: Time| time.0);
    let (created, generation) = age(given, past, same_spec, &circumstances);
    let observed = observed::<K>(circumstances.known.as_ref(), past);
    let key = circumstances.key;
    let draft = to_yaml(&json!({
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
    Settled { change: Some(K::malformed(meta, &why)), draft: Some(draft), refused: Some(why) }
}

/// When an object was created, and its generation.
fn age(
    given: Option<Timestamp>,
    past: Option<&Past>,
    same_spec: bool,
    circumstances: &Circumstances,
) -> (Timestamp, i64) {
    let (past, known) = (past.map(|past| &past.metadata), circumstances.known.as_ref());
    let past_created = past.and_then(|past| Some(past.creation_timestamp.as_ref()?.0));
    let known_created = known.and_then(|meta| Timestamp::from_second(meta.created).ok());
    let created = given.or(past_created).or(known_created);
    let past_generation = past.and_then(|past| past.generation);
    let before = past_generation.or(known.map(|meta| meta.generation)).unwrap_or(0);
    let generation = if same_spec && before > 0 { before } else { before + 1 };
    (created.unwrap_or(circumstances.now), generation)
}

/// The status that the object has. Where its file has none (it is new, or somebody spoiled it), only
/// the UUID is known, so that a status is written.
fn observed<K: Kept>(known: Option<&Meta>, past: Option<&Past>) -> Observed {
    let past = past.map(Past::observed::<K>).unwrap_or_default();
    let Some(known) = known else { return past };
    if past != Observed::default() {
        return known.observed.clone();
    }
    let mut observed = Observed::default();
    observed.uuid = known.observed.uuid;
    observed
}
