//! What was seen of an operator and of what it serves. Pure: plain data, for the checks to decide upon.

use std::collections::{BTreeMap, BTreeSet};

use crate::admin::deliveries::view::Delivery;
use crate::moment::Moment;
use crate::plan::Key;
use crate::resources::{Webhook, WebhookApp};

/// All that was seen.
pub struct Observed {
    /// When.
    pub now: Moment,
    /// The operator.
    pub operator: Operator,
    /// The apps; `None` where the API server does not know the kind.
    pub apps: Option<Vec<WebhookApp>>,
    /// The webhooks; `None` where the API server does not know the kind.
    pub webhooks: Option<Vec<Webhook>>,
    /// Services that apps of a cluster name, with whether a ready endpoint is behind each.
    pub endpoints: BTreeMap<Key, bool>,
    /// Recent deliveries, where they could be looked at.
    pub deliveries: Option<Deliveries>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// An operator.
pub enum Operator {
    /// In a cluster. What the caller may not see is `None`.
    Cluster {
        /// Its namespace.
        namespace: String,
        /// Its pods.
        pods: Option<Vec<Pod>>,
        /// Who writes statuses.
        lease: Option<Lease>,
        /// Its definitions.
        definitions: Option<Vec<(String, Definition)>>,
    },
    /// On its own.
    Standalone {
        /// Where its admin port is.
        server: String,
        /// What its readiness probe says; why it does not answer.
        ready: Result<Readiness, String>,
    },
}

/// The answer to a readiness probe.
pub struct Readiness {
    /// Whether it serves.
    pub is_ready: bool,
    /// Its words.
    pub said: String,
}

/// A pod of the operator.
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Whether it takes triggers.
    pub is_ready: bool,
    /// Why it does not, as far as the kubelet tells.
    pub why: Option<String>,
}

/// The lease of the replica that writes statuses.
pub enum Lease {
    /// There never was one.
    Missing,
    /// Nobody has it, since the last one gave it back.
    Free,
    /// Somebody has it.
    Held {
        /// The pod that does.
        holder: String,
        /// Until when it is valid without a renewal.
        until: Moment,
    },
}

/// A CustomResourceDefinition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    /// It is not installed.
    Missing,
    /// It is the one of this program.
    Same,
    /// It is that of another version.
    Other,
}

/// Deliveries that began within a time.
#[derive(Default)]
pub struct Deliveries {
    /// Those that are dead, the latest first.
    pub dead: Vec<Delivery>,
    /// Those that are on their way.
    pub pending: Vec<Delivery>,
    /// Those that succeeded, which tells of replays.
    pub succeeded: Vec<Delivery>,
}

impl Deliveries {
    /// Events that were replayed, by id, with the last generation that is known.
    fn generations(&self) -> BTreeMap<uuid::Uuid, u32> {
        let mut last = BTreeMap::new();
        for delivery in self.dead.iter().chain(&self.pending).chain(&self.succeeded) {
            let generation = last.entry(delivery.event_id).or_insert(0);
            *generation = delivery.generation.max(*generation);
        }
        last
    }

    /// The dead ones whose event was not replayed since, by webhook.
    pub fn dead_by_webhook(&self) -> BTreeMap<Key, Vec<&Delivery>> {
        let last = self.generations();
        let is_last =
            |delivery: &&Delivery| last.get(&delivery.event_id) == Some(&delivery.generation);
        by_webhook(self.dead.iter().filter(is_last))
    }

    /// Those on their way, by webhook.
    pub fn pending_by_webhook(&self) -> BTreeMap<Key, Vec<&Delivery>> {
        by_webhook(self.pending.iter())
    }
}

fn by_webhook<'d>(
    deliveries: impl Iterator<Item = &'d Delivery>,
) -> BTreeMap<Key, Vec<&'d Delivery>> {
    let mut found: BTreeMap<Key, Vec<&Delivery>> = BTreeMap::new();
    for delivery in deliveries {
        let key = Key::new(delivery.namespace.clone(), delivery.webhook.clone());
        found.entry(key).or_default().push(delivery);
    }
    found
}

impl Observed {
    /// Whether commands of kubectl are of use.
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
