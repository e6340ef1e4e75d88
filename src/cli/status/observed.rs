//! The observed state of an operator and its resources: plain data for the checks. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::admin::deliveries::view::DeliveryView;
use crate::moment::Moment;
use crate::plan::Key;
use crate::resources::{Webhook, WebhookApp};

/// The observed state.
pub struct Observed {
    /// Time of the observation.
    pub now: Moment,
    /// The operator.
    pub operator: Operator,
    /// The apps; `None` where the API server does not know the kind.
    pub apps: Option<Vec<WebhookApp>>,
    /// The webhooks; `None` where the API server does not know the kind.
    pub webhooks: Option<Vec<Webhook>>,
    /// Services that apps reference in a cluster, and whether each has a ready endpoint.
    pub endpoints: BTreeMap<Key, bool>,
    /// Recent deliveries, if they could be read.
    pub deliveries: Option<Deliveries>,
    /// Parts that could not be read, with the error.
    pub unseen: Vec<String>,
}

/// An operator.
pub enum Operator {
    /// In a cluster. `None` marks what the caller is not permitted to read.
    Cluster {
        /// Its namespace.
        namespace: String,
        /// Its pods.
        pods: Option<Vec<Pod>>,
        /// The lease of the status writer.
        lease: Option<Lease>,
        /// Its CustomResourceDefinitions.
        definitions: Option<Vec<(String, Definition)>>,
    },
    /// Standalone.
    Standalone {
        /// URL of its admin port.
        server: String,
        /// The response of its readiness probe, or the connection error.
        ready: Result<Readiness, String>,
    },
}

/// A response of a readiness probe.
pub struct Readiness {
    /// Whether it is ready.
    pub is_ready: bool,
    /// Text of the response.
    pub said: String,
}

/// A pod of the operator.
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Whether it is ready.
    pub is_ready: bool,
    /// Why it is not, as the kubelet reports.
    pub why: Option<String>,
}

/// The lease of the replica that writes statuses.
pub enum Lease {
    /// It does not exist.
    Missing,
    /// It was released and has no holder.
    Free,
    /// It has a holder.
    Held {
        /// The pod that holds it.
        holder: String,
        /// When it expires unless renewed.
        until: Moment,
    },
}

/// A CustomResourceDefinition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    /// It is not installed.
    Missing,
    /// It matches this program.
    Same,
    /// It is that of another version.
    Other,
}

/// Recent deliveries.
#[derive(Default)]
pub struct Deliveries {
    /// Dead ones, latest first.
    pub dead: Vec<DeliveryView>,
    /// Pending ones.
    pub pending: Vec<DeliveryView>,
    /// Succeeded ones, which show replays.
    pub succeeded: Vec<DeliveryView>,
}

impl Deliveries {
    /// Replayed events, by id, with their latest known generation.
    fn generations(&self) -> BTreeMap<uuid::Uuid, u32> {
        let mut last = BTreeMap::new();
        for delivery in self.dead.iter().chain(&self.pending).chain(&self.succeeded) {
            let generation = last.entry(delivery.event_id).or_insert(0);
            *generation = delivery.generation.max(*generation);
        }
        last
    }

    /// Dead deliveries whose event was not replayed since, by webhook.
    pub fn dead_by_webhook(&self) -> BTreeMap<Key, Vec<&DeliveryView>> {
        let last = self.generations();
        let is_last =
            |delivery: &&DeliveryView| last.get(&delivery.event_id) == Some(&delivery.generation);
        by_webhook(self.dead.iter().filter(is_last))
    }

    /// Pending deliveries, by webhook.
    pub fn pending_by_webhook(&self) -> BTreeMap<Key, Vec<&DeliveryView>> {
        by_webhook(self.pending.iter())
    }
}

fn by_webhook<'d>(
    deliveries: impl Iterator<Item = &'d DeliveryView>,
) -> BTreeMap<Key, Vec<&'d DeliveryView>> {
    let mut found: BTreeMap<Key, Vec<&DeliveryView>> = BTreeMap::new();
    for delivery in deliveries {
        let key = Key::new(delivery.namespace.clone(), delivery.webhook.clone());
        found.entry(key).or_default().push(delivery);
    }
    found
}

impl Observed {
    /// Whether kubectl commands apply.
    pub fn is_cluster(&self) -> bool {
        matches!(self.operator, Operator::Cluster { .. })
    }

    /// The apps.
    pub fn apps(&self) -> &[WebhookApp] {
        self.apps.as_deref().unwrap_or_default()
    }

    /// The webhooks.
    pub fn webhooks(&self) -> &[Webhook] {
        self.webhooks.as_deref().unwrap_or_default()
    }

    /// The apps that are not Ready.
    pub fn broken_apps(&self) -> BTreeSet<Key> {
        let is_broken = |app: &&WebhookApp| {
            let status = app.status.as_ref();
            let conditions = status.map(|status| &*status.conditions).unwrap_or_default();
            !super::conditions::is_true(conditions, "Ready")
        };
        self.apps().iter().filter(is_broken).map(Key::of).collect()
    }
}
