//! Advice for each reason of the `Ready` condition. Pure.
//!
//! Two matches without a wildcard: a new reason does not compile until it has its advice.

use crate::resources::reason::{ConditionReason, StalledReason};

/// What to do, and a command for more information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// A sentence.
    pub says: &'static str,
    /// A command of kubectl, with `{kind}`, `{name}` and `{namespace}` of the object.
    command: &'static str,
}

const EDIT: &str = "kubectl edit {kind} {name} -n {namespace}";
const DESCRIBE: &str = "kubectl describe {kind} {name} -n {namespace}";
const SECRETS: &str = "kubectl get secrets -n {namespace}";
const SERVICES: &str = "kubectl get services -n {namespace}";
const APPS: &str = "kubectl get webhookapps -n {namespace}";
const UUIDS: &str = "kubectl get {kind} -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,UUID:.spec.uuid";

const PROGRESSING: Advice = Advice {
    says: "The operator is loading a resource. If this persists, see the operator's log",
    command: DESCRIBE,
};

/// For a reason of another operator version.
const OTHER: Advice = Advice { says: "See its description", command: DESCRIBE };

impl Advice {
    /// The advice for an object that is not ready, by the reason in its status.
    pub fn about(reason: &str) -> Self {
        match reason.parse() {
            Ok(reason) => Self { says: says(reason), command: command(reason) },
            Err(_) if reason == ConditionReason::Progressing.as_str() => PROGRESSING,
            Err(_) => OTHER,
        }
    }

    /// The command for an object.
    pub fn command(&self, kind: &str, namespace: &str, name: &str) -> String {
        let command = self.command.replace("{kind}", kind).replace("{namespace}", namespace);
        command.replace("{name}", name)
    }
}

fn says(reason: StalledReason) -> &'static str {
    match reason {
        StalledReason::SecretNotFound => {
            "Create the Secret in the same namespace, or reference another one. The operator detects the change"
        }
        StalledReason::SecretKeyNotFound => {
            "Add the key to the Secret, or reference another key in secretRefs"
        }
        StalledReason::SecretEmpty => "Store the sender's secret in that key",
        StalledReason::InvalidVerify => {
            "Correct that entry or its Secret: docs/providers.md has an example for each provider"
        }
        StalledReason::InvalidFilter => "Correct spec.filter",
        StalledReason::InvalidDedupKey => "Correct spec.dedup",
        StalledReason::InvalidTransform => {
            "Correct spec.transform: webhook-operator eval --transform tries it on an event"
        }
        StalledReason::Invalid => "Correct the resource",
        StalledReason::AppNotFound => {
            "Create the WebhookApp, or recreate the webhook for another one: spec.app is immutable"
        }
        StalledReason::AppNotReady => "Fix the app: the webhook then becomes Ready automatically",
        StalledReason::UuidConflict => {
            "Two objects have the same spec.uuid: recreate the younger one with another spec.uuid or none"
        }
        StalledReason::ServiceNotFound => "Create the Service, or correct spec.listener.service",
        StalledReason::PortNotFound => "Set spec.listener.service.port to a port of the Service",
        StalledReason::ServiceTypeNotSupported => "Use a Service with endpoints in this namespace",
        StalledReason::ManualEndpointsNotAllowed => {
            "Add a selector to the Service, or ask the cluster administrator for --listener-allow-manual-endpoints"
        }
        StalledReason::ListenerUrlNotAllowed => {
            "Use a Service in spec.listener.service, or ask the cluster administrator for --listener-allow-url"
        }
        StalledReason::ListenerUrlInvalid => "Correct spec.listener.url",
        StalledReason::ListenerAddressRefused => {
            "Use another address, or ask the cluster administrator to change --listener-allow-cidr or --egress-deny-cidr"
        }
    }
}

fn command(reason: StalledReason) -> &'static str {
    match reason {
        StalledReason::SecretNotFound
        | StalledReason::SecretKeyNotFound
        | StalledReason::SecretEmpty => SECRETS,
        StalledReason::InvalidVerify
        | StalledReason::InvalidFilter
        | StalledReason::InvalidDedupKey
        | StalledReason::InvalidTransform
        | StalledReason::Invalid
        | StalledReason::ListenerUrlNotAllowed
        | StalledReason::ListenerUrlInvalid
        | StalledReason::ListenerAddressRefused => EDIT,
        StalledReason::AppNotFound | StalledReason::AppNotReady => APPS,
        StalledReason::UuidConflict => UUIDS,
        StalledReason::ServiceNotFound
        | StalledReason::PortNotFound
        | StalledReason::ServiceTypeNotSupported
        | StalledReason::ManualEndpointsNotAllowed => SERVICES,
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_reason_that_the_operator_gives_has_its_advice() {
        for reason in StalledReason::VARIANTS {
            let advice = Advice::about(reason.as_str());
            assert_ne!(advice, OTHER, "{reason:?}");
            assert!(!advice.says.is_empty() && !advice.says.ends_with('.'), "{reason:?}");
            let command = advice.command("webhook", "team-a", "pay");
            assert!(command.starts_with("kubectl ") && !command.contains('{'), "{command}");
        }
        assert_eq!(Advice::about(ConditionReason::Progressing.as_str()), PROGRESSING);
    }

    #[test]
    fn a_command_names_the_object() {
        let command = Advice::about("InvalidFilter").command("webhook", "team-a", "pay");
        assert_eq!(command, "kubectl edit webhook pay -n team-a");
        assert_eq!(Advice::about("Unheard").says, "See its description");
    }
}
