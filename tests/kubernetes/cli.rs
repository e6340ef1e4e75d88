//! `trigger` and `status` with the rights of who calls, against an API server.

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::fixture::{Site, app, webhook, with};
use crate::support::listener::Listener;
use crate::support::operator::{Operator, command};

/// An operator as a process, with an app whose listener is here and a webhook that GitHub would call.
struct Served {
    site: Site,
    listener: Listener,
    _operator: Operator,
}

impl Served {
    fn new() -> Self {
        let (site, listener) = (Site::new(), Listener::start());
        let namespace = &site.namespace;
        let kubeconfig = site.cluster.kubeconfig_as(namespace, "webhook-operator");
        let flags = ["--namespace", namespace, "--watch-namespaces", namespace];
        let operator = Operator::run(&kubeconfig, &flags);
        site.apply(&with(app("shop"), "/spec/listener", json!({"url": listener.url})));
        let refs = json!([{"name": "gh", "key": "secret"}]);
        let verify = json!([{"type": "GitHub", "secretRefs": refs}]);
        site.apply(&with(webhook("payments", "shop"), "/spec/verify", verify));
        site.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gh"},
            "stringData": {"secret": "hush-hush"},
        }));
        site.wait("webhook/payments", "Ready");
        Self { site, listener, _operator: operator }
    }

    /// Somebody who may read webhooks and apps here, and nothing else.
    fn jane(&self) -> PathBuf {
        let resources = "--resource=webhooks.lenra.io,webhookapps.lenra.io";
        let account = format!("--serviceaccount={}:jane", self.site.namespace);
        self.site.kubectl(&["create", "serviceaccount", "jane"]);
        self.site.kubectl(&["create", "role", "jane", "--verb=get,list", resources]);
        self.site.kubectl(&["create", "rolebinding", "jane", "--role=jane", &account]);
        self.site.cluster.kubeconfig_as(&self.site.namespace, "jane")
    }

    /// Runs a subcommand as who has a kubeconfig.
    fn run(&self, kubeconfig: PathBuf, words: &[&str]) -> Output {
        let namespace = &self.site.namespace;
        let mut command = command(words);
        command.arg("--kubeconfig").arg(kubeconfig).args(["--operator-namespace", namespace]);
        command.args(["-n", namespace]).output().expect("the program")
    }

    fn admin(&self, words: &[&str]) -> Output {
        self.run(self.site.cluster.kubeconfig().to_owned(), words)
    }
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_the_secret_sends_what_the_provider_would() {
    let served = Served::new();
    let text = said(&served.admin(&["trigger", "payments"]), 0);
    assert!(text.contains("signed for GitHub.\n202: stored as event "), "{text}");
    assert_eq!(served.listener.call().header("x-github-event"), Some("ping"));
    // There are no pods here, whose ports the API server could forward.
    let unseen = "Its delivery cannot be read from here: ";
    assert!(text.contains(unseen) && text.contains("deliveries show"), "{text}");
    let through = served.admin(&["trigger", "payments", "--through-cluster"]);
    assert!(said(&through, 2).contains("no pod of the operator is running in the namespace"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_the_secret_is_told_so_and_may_send_unsigned() {
    let served = Served::new();
    let jane = served.jane();
    let text = said(&served.run(jane.clone(), &["trigger", "payments"]), 2);
    let sentence = format!(
        "error: the event cannot be signed: you may not read the Secret {}/gh; send it with --unsigned, and add a signature with --header 'Name: value' if you have one\n",
        served.site.namespace,
    );
    assert_eq!(text, sentence);
    let text = said(&served.run(jane.clone(), &["trigger", "payments", "--unsigned"]), 1);
    assert!(text.contains("Refused with 401 invalid_signature"), "{text}");
    let text = said(&served.run(jane, &["trigger", "nobody"]), 2);
    assert!(text.contains("nobody does not exist"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_tells_what_is_wrong_as_far_as_the_caller_may_see() {
    let served = Served::new();
    // The definitions are those of this program, and the lease is held: what is missing are pods.
    let report: Value =
        serde_json::from_slice(&served.admin(&["status", "-o", "json"]).stdout).expect("JSON");
    let findings: Vec<_> =
        report["findings"].as_array().expect("findings").iter().map(|one| &one["what"]).collect();
    let no_pod = format!("has no pod in the namespace {}", served.site.namespace);
    assert_eq!(findings, [&json!(no_pod)], "{report:#}");

    let jane = served.jane();
    let text = said(&served.run(jane.clone(), &["status"]), 0);
    let well =
        format!("All is well: 1 app and 1 webhook in the namespace {}.", served.site.namespace);
    assert!(text.starts_with(&well), "{text}");
    for unseen in ["pods", "lease", "CustomResourceDefinitions", "deliveries"] {
        let is_it = |line: &str| line.starts_with("Not checked: ") && line.contains(unseen);
        assert!(text.lines().any(is_it), "{unseen}: {text}");
    }
    let text = said(&served.run(jane.clone(), &["status", "-o", "yaml"]), 0);
    assert!(text.contains("well: true"), "{text}");
    served.site.kubectl(&["delete", "secret", "gh"]);
    served.site.wait("webhook/payments", "Stalled");
    let text = said(&served.run(jane, &["status", "payments"]), 1);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("/payments is not Ready (SecretNotFound), for "), "{text}");
    let command = format!("    kubectl get secrets -n {}", served.site.namespace);
    assert!(lines.contains(&&*command), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_list_webhooks_is_told_so_in_one_line() {
    let served = Served::new();
    served.site.kubectl(&["create", "serviceaccount", "nobody"]);
    let nobody = served.site.cluster.kubeconfig_as(&served.site.namespace, "nobody");
    let text = said(&served.run(nobody, &["status"]), 2);
    assert!(text.contains("error: cannot list webhook") && text.lines().count() == 1, "{text}");
}
