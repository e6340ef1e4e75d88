//! What a person does about a reason of the `Ready` condition: a table. Pure.

/// What to do, and what shows more.
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

/// Every reason that the operator gives.
static ADVICE: &[Advice] = &[
    Advice {
        reason: "SecretNotFound",
        says: "Make the Secret in the same namespace, or name another one: it is looked up again by itself",
        command: SECRETS,
    },
    Advice {
        reason: "SecretKeyNotFound",
        says: "Add the key to the Secret, or name another one in secretRefs",
        command: SECRETS,
    },
    Advice {
        reason: "SecretEmpty",
        says: "Put the secret that the sender has into that key",
        command: SECRETS,
    },
    Advice {
        reason: "InvalidVerify",
        says: "Correct that entry, or the Secret that it names: docs/providers.md has one for each provider",
        command: EDIT,
    },
    Advice { reason: "InvalidFilter", says: "Correct spec.filter", command: EDIT },
    Advice { reason: "InvalidDedupKey", says: "Correct spec.dedup", command: EDIT },
    Advice { reason: "Invalid", says: "Correct the resource", command: EDIT },
    Advice {
        reason: "AppNotFound",
        says: "Make the WebhookApp, or make the webhook anew for another one: spec.app cannot be changed",
        command: APPS,
    },
    Advice {
        reason: "AppNotReady",
        says: "Look at the app: the webhook follows by itself",
        command: APPS,
    },
    Advice {
        reason: "UUIDConflict",
        says: "Two objects adopt one UUID: make the younger one anew, with another spec.uuid or none",
        command: "kubectl get {kind} -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,UUID:.spec.uuid",
    },
    Advice {
        reason: "ServiceNotFound",
        says: "Make the Service, or correct spec.listener.service",
        command: SERVICES,
    },
    Advice {
        reason: "PortNotFound",
        says: "Name a port that the Service has, in spec.listener.service.port",
        command: SERVICES,
    },
    Advice {
        reason: "ServiceTypeNotSupported",
        says: "Name a Service with endpoints of its own",
        command: SERVICES,
    },
    Advice {
        reason: "ManualEndpointsNotAllowed",
        says: "Give the Service a selector, or have the operator started with --listener-allow-manual-endpoints",
        command: SERVICES,
    },
    Advice {
        reason: "ListenerURLNotAllowed",
        says: "Name a Service in spec.listener.service, or have whoever runs the operator start it with --listener-allow-url",
        command: EDIT,
    },
    Advice { reason: "ListenerURLInvalid", says: "Correct spec.listener.url", command: EDIT },
    Advice {
        reason: "ListenerAddressRefused",
        says: "Name another address, or have the operator's flags --listener-allow-cidr and --egress-deny-cidr changed",
        command: EDIT,
    },
    Advice {
        reason: "Progressing",
        says: "It is being looked up. Where that does not end, the log of the operator says why",
        command: "kubectl describe {kind} {name} -n {namespace}",
    },
];

/// Where the operator is of another version, and has a reason of its own.
static OTHER: Advice = Advice {
    reason: "",
    says: "Its description may say more",
    command: "kubectl describe {kind} {name} -n {namespace}",
};

impl Advice {
    /// What to do about a reason.
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
        assert_eq!(Advice::about("Unheard").says, "Its description may say more");
    }
}
