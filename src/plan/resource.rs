//! The kinds of the operator, as one trait: sources and commands handle each of them by generic functions.
//!
//! The trait belongs to the plan and not to `resources`, because it connects a kind with the input
//! and the output of the planner.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::core::object::{HasSpec, HasStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::input::Meta;
use super::{AppInput, Change, Event, Key, Kind, Observed, Planner, WebhookInput};
use crate::resources::{Webhook, WebhookApp};

/// A kind of the operator: a namespaced resource with a spec of the user and a status of the operator.
pub trait OperatorResource:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasSpec<Spec: Serialize + DeserializeOwned>
    + HasStatus<Status: Serialize + DeserializeOwned>
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + 'static
{
    /// The kind.
    const KIND: Kind;

    /// An object of these parts.
    fn from_parts(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;

    /// The part of a status that the planner uses.
    fn observed(status: &Self::Status) -> Observed;

    /// The change for an object that was added or modified. `amend` may replace its metadata.
    fn upsert(&self, amend: impl FnOnce(&mut Meta)) -> Change;

    /// The change for an object with an invalid spec; `why` is the text for its status.
    fn malformed(metadata: &ObjectMeta, meta: Meta, why: &str) -> Change;

    /// The change for a deleted object.
    fn deletion(key: Key) -> Change;

    /// The status to write; `None` if it is up to date or the object does not exist.
    fn status_to_write(planner: &Planner, key: &Key, now: Timestamp) -> Option<Self::Status>;

    /// The Events for the change to this status.
    fn events(planner: &Planner, key: &Key, status: &Self::Status) -> Vec<Event>;
}

impl OperatorResource for WebhookApp {
    const KIND: Kind = Kind::WebhookApp;

    fn from_parts(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        Self { metadata, spec, status }
    }

    fn observed(status: &Self::Status) -> Observed {
        Observed::of_app(status)
    }

    fn upsert(&self, amend: impl FnOnce(&mut Meta)) -> Change {
        let mut input = AppInput::of(self);
        amend(&mut input.meta);
        Change::App(input)
    }

    fn malformed(metadata: &ObjectMeta, meta: Meta, why: &str) -> Change {
        Change::App(AppInput::malformed(metadata, meta, why))
    }

    fn deletion(key: Key) -> Change {
        Change::AppGone(key)
    }

    fn status_to_write(planner: &Planner, key: &Key, now: Timestamp) -> Option<Self::Status> {
        planner.app_status(key, now)
    }

    fn events(planner: &Planner, key: &Key, status: &Self::Status) -> Vec<Event> {
        planner.app_events(key, status)
    }
}

impl OperatorResource for Webhook {
    const KIND: Kind = Kind::Webhook;

    fn from_parts(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        Self { metadata, spec, status }
    }

    fn observed(status: &Self::Status) -> Observed {
        Observed::of_webhook(status)
    }

    fn upsert(&self, amend: impl FnOnce(&mut Meta)) -> Change {
        let mut input = WebhookInput::of(self);
        amend(&mut input.meta);
        Change::Webhook(input)
    }

    fn malformed(_: &ObjectMeta, meta: Meta, why: &str) -> Change {
        Change::Webhook(WebhookInput { meta, spec: Err(why.into()) })
    }

    fn deletion(key: Key) -> Change {
        Change::WebhookGone(key)
    }

    fn status_to_write(planner: &Planner, key: &Key, now: Timestamp) -> Option<Self::Status> {
        planner.webhook_status(key, now)
    }

    fn events(planner: &Planner, key: &Key, status: &Self::Status) -> Vec<Event> {
        planner.webhook_events(key, status)
    }
}
