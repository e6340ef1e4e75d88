//! Advice for each reason of the `Ready` condition: a table. Pure.

/// What to do, and a command for more information.
pub struct Advice {
    reason: &'static str,
    /// A sentence.
    pub says: &'static str,
    /// A command of kubectl, with `{kind}`, `{name}` and `{namespace}` of the object.
    pub command: &'static str,
}

const EDIT: &str = "kubectl edit {kind} {name} -n {namespace}";
const SECRETS: &str = "kubectl get secrets -n {namespace}";
const SERVICES: &str = "kubectl get services -n {namespace}";
const APPS: &str = "kubectl get webhookapps -n {namespace}";

/// All reasons of the operator.
static ADVICE: &[Advice] = &[
    Advice {
        reason: "SecretNotFound",
        says: "Create the Secret in the same namespace, or reference another one. The operator detects the change",
        command: SECRETS,
    },
    Advice {
        reason: "SecretKeyNotFound",
        says: "Add the key to the Secret, or reference another key in secretRefs",
        command: SECRETS,
    },
    Advice {
        reason: "SecretEmpty",
        says: "Store the sender's secret in that key",
        command: SECRETS,
    },
    Advice {
        reason: "InvalidVerify",
        says: "Correct that entry or its Secret: docs/providers.md has an example for each provider",
        command: EDIT,
    },
    Advice { reason: "InvalidFilter", says: "Correct spec.filter", command: EDIT },
    Advice { reason: "InvalidDedupKey", says: "Correct spec.dedup", command: EDIT },
    Advice { reason: "Invalid", says: "Correct the resource", command: EDIT },
    Advice {
        reason: "AppNotFound",
        says: "Create the WebhookApp, or recreate the webhook for another one: spec.app is immutable",
        command: APPS,
    },
    Advice {
        reason: "AppNotReady",
        says: "Fix the app: the webhook then becomes Ready automatically",
        command: APPS,
    },
    Advice {
        reason: "UUIDConflict",
        says: "Two objects have the same spec.uuid: recreate the younger one with another spec.uuid or none",
        command: "kubectl get {kind} -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,UUID:.spec.uuid",
    },
    Advice {
        reason: "ServiceNotFound",
        says: "Create the Service, or correct spec.listener.service",
        command: SERVICES,
    },
    Advice {
        reason: "PortNotFound",
        says: "Set spec.listener.service.port to a port of the Service",
        command: SERVICES,
    },
    Advice {
        reason: "ServiceTypeNotSupported",
        says: "Use a Service with endpoints in this namespace",
        command: SERVICES,
    },
    Advice {
        reason: "ManualEndpointsNotAllowed",
        says: "Add a selector to the Service, or ask the cluster administrator for --listener-allow-manual-endpoints",
        command: SERVICES,
    },
    Advice {
        reason: "ListenerURLNotAllowed",
        says: "Use a Service in spec.listener.service, or ask the cluster administrator for --listener-allow-url",
        command: EDIT,
    },
    Advice { reason: "ListenerURLInvalid", says: "Correct spec.listener.url", command: EDIT },
    Advice {
        reason: "ListenerAddressRefused",
        says: "Use another address, or ask the cluster administrator to change --listener-allow-cidr or --egress-deny-cidr",
        command: EDIT,
    },
    Advice {
        reason: "Progressing",
        says: "The operator is loading a resource. If this persists, see the operator's log",
        command: "kubectl describe {kind} {name} -n {namespace}",
    },
];

/// For a reason of another operator version.
static OTHER: Advice = Advice {
    reason: "",
    says: "See its description",
    command: "kubectl describe {kind} {name} -n {namespace}",
};

impl Advice {
    /// The advice for a reason.
    pub fn about(reason: &str) -> &'static Self {
        ADVICE.iter().find(|advice| advice.reason == reason).unwrap_or(&OTHER)
    }

    /// The command for an object.
    pub fn command(&self, kind: &str, namespace: &str, name: &str) -> String {
        let command = self.command.replace("{kind}", kind).replace("{namespace}", namespace);
        command.replace("{name}", name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the planner says: each reason there has its advice here.
    const PLANNER: [&str; 4] = [
        include_str!("../../plan/decide.rs"),
        include_str!("../../plan/verify.rs"),
        include_str!("../../plan/guards.rs"),
        include_str!("../../resources/conditions.rs"),
    ];

    /// The reasons of stalled verdicts and faults, as the code has them.
    fn reasons(code: &str) -> Vec<&str> {
        let code = code.split("#[cfg(test)]").next().unwrap_or(code);
        let after = |mark| code.split(mark).skip(1);
        after("stalled(")
            .chain(after("reason: "))
            .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
            .collect()
    }

    #[test]
    fn every_reason_that_the_operator_gives_has_its_advice() {
        let given: Vec<&str> = PLANNER.iter().flat_map(|code| reasons(code)).collect();
        assert!(given.len() > 12, "{given:?}");
        for reason in given {
            assert_eq!(Advice::about(reason).reason, reason);
        }
    }

    #[test]
    fn a_command_names_the_object() {
        let command = Advice::about("InvalidFilter").command("webhook", "team-a", "pay");
        assert_eq!(command, "kubectl edit webhook pay -n team-a");
        assert_eq!(Advice::about("Unheard").says, "See its description");
    }
}
