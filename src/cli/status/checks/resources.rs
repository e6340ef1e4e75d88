//! Problems of apps and webhooks, from their statuses. Pure.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::ResourceExt;

use crate::cli::status::advice::Advice;
use crate::cli::status::conditions::{find, since};
use crate::cli::status::finding::Finding;
use crate::cli::status::observed::Observed;
use crate::moment::Moment;
use crate::plan::{Key, Kind};
use crate::resources::conditions::ACCEPTING_TRIGGERS;
use crate::resources::reason::{ConditionReason, StalledReason};

/// Tolerated delay until the operator observes a change.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

pub fn apps(observed: &Observed) -> Vec<Finding> {
    let found = observed.apps().iter().filter_map(|app| {
        let status = app.status.as_ref();
        let waiting = observed.webhooks().iter().filter(|webhook| {
            webhook.namespace() == app.namespace() && webhook.spec.app == app.name_any()
        });
        let seen = Seen {
            kind: Kind::WebhookApp,
            key: Key::of(app),
            conditions: status.map(|status| &*status.conditions).unwrap_or_default(),
            observed: status.and_then(|status| status.observed_generation),
            meta: &app.metadata,
        };
        let finding = seen.not_ready(observed)?;
        Some(match waiting.count() {
            0 => finding,
            1 => Finding { what: format!("{}, and with it its webhook", finding.what), ..finding },
            n => Finding {
                what: format!("{}, and with it its {n} webhooks", finding.what),
                ..finding
            },
        })
    });
    found.collect()
}

pub fn webhooks(observed: &Observed) -> Vec<Finding> {
    let broken = observed.broken_apps();
    let found = observed.webhooks().iter().filter_map(|webhook| {
        let status = webhook.status.as_ref();
        let seen = Seen {
            kind: Kind::Webhook,
            key: Key::of(webhook),
            conditions: status.map(|status| &*status.conditions).unwrap_or_default(),
            observed: status.and_then(|status| status.observed_generation),
            meta: &webhook.metadata,
        };
        let app = Key::new(seen.key.namespace.clone(), webhook.spec.app.as_str());
        let follows = find(seen.conditions, "Ready")
            .is_some_and(|ready| ready.reason == StalledReason::AppNotReady.as_str());
        // The finding on the app includes its webhooks.
        if follows && broken.contains(&app) { None } else { seen.not_ready(observed) }
    });
    found.collect()
}

/// An object with a status.
struct Seen<'a> {
    kind: Kind,
    key: Key,
    conditions: &'a [Condition],
    observed: Option<i64>,
    meta: &'a ObjectMeta,
}

impl Seen<'_> {
    fn subject(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.key)
    }

    fn not_ready(&self, observed: &Observed) -> Option<Finding> {
        if self.observed.is_none() || self.observed < self.meta.generation {
            return self.unseen(observed);
        }
        let ready = find(self.conditions, "Ready")?;
        if ready.reason == ConditionReason::Suspended.as_str() {
            let note = Finding::note(self.subject(), "is suspended");
            return Some(
                note.since(since(ready))
                    .because("Its triggers get 503")
                    .so("Set spec.suspend to false to accept them again", Vec::new()),
            );
        }
        if ready.status == "True" {
            return self.advice(ready);
        }
        let advice = Advice::about(&ready.reason);
        let command = advice.command(self.plural(), &self.key.namespace, &self.key.name);
        Some(
            Finding::problem(self.subject(), format!("is not Ready ({})", ready.reason))
                .since(since(ready))
                .because(ready.message.clone())
                .so(advice.says, observed.is_cluster().then_some(command)),
        )
    }

    /// Advice of the operator on a webhook that is Ready.
    fn advice(&self, ready: &Condition) -> Option<Finding> {
        let advice = ready.message.strip_prefix(ACCEPTING_TRIGGERS)?.strip_prefix("; ")?;
        Some(Finding::note(self.subject(), "is Ready, but may reject its sender").because(advice))
    }

    /// Objects whose latest change the operator has not observed.
    fn unseen(&self, observed: &Observed) -> Option<Finding> {
        let made = self.meta.creation_timestamp.as_ref().map(|time| time.0.as_millisecond());
        let made = made.and_then(|made| u64::try_from(made).ok()).map(Moment);
        let is_new = self.observed.is_none()
            && made.is_some_and(|made| observed.now.since(made) < SEEN_WITHIN);
        if is_new {
            return None;
        }
        let what = match self.observed {
            None => "was never observed by an operator",
            Some(_) => "has a change that no operator has observed",
        };
        Some(Finding::problem(self.subject(), what).so(
            "Check that the operator runs and watches this namespace (watchNamespaces of the chart, --watch-namespaces)",
            Vec::new(),
        ))
    }

    fn plural(&self) -> &'static str {
        match self.kind {
            Kind::WebhookApp => "webhookapp",
            Kind::Webhook => "webhook",
        }
    }
}
