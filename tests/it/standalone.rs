//! `standalone` as a person uses it: the files it reads, the files it writes, what it says.

use std::fs;

use crate::support::http::{as_app, post, request};
use crate::support::listener::Listener;
use crate::support::operator::{APP, Folders, Operator, WEBHOOK, eventually, manifest, output};

fn token(folders: &Folders, app: &str) -> String {
    let data = folders.data();
    let printed =
        output(&["standalone", "token", "--data-dir", data.to_str().unwrap(), "--app", app]);
    assert!(printed.status.success(), "{printed:?}");
    String::from_utf8(printed.stdout).unwrap().trim().to_owned()
}

fn webhook(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: lenra.io/v1alpha1
kind: Webhook
metadata: {{name: {name}, namespace: team-a}}
spec:
  app: shop
  action: run
{rest}
"
    )
}

#[test]
fn the_ready_line_the_urls_and_the_status_files_are_as_written_in_the_contract() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator =
        Operator::standalone(&folders, &["--external-url", "https://hooks.example.com/"]);
    for url in [&operator.trigger, &operator.app_api, &operator.admin] {
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    }
    let prefix = format!("https://hooks.example.com/apps/{APP}/webhooks");
    assert_eq!(operator.line(), format!("webhook team-a/payments {prefix}/{WEBHOOK}"));
    // The files are there as soon as the line is.
    let status = |kind: &str, name: &str| {
        fs::read_to_string(folders.data().join(format!("status/{kind}/team-a/{name}.yaml")))
            .unwrap()
    };
    let app: serde_json::Value = serde_saphyr::from_str(&status("webhookapp", "shop")).unwrap();
    assert_eq!(app["kind"], "WebhookApp");
    assert_eq!(app["status"]["uuid"], APP);
    assert_eq!(app["status"]["url"], prefix);
    assert_eq!(app["status"]["webhooks"], 1);
    assert_eq!(app["status"]["observedGeneration"], 1);
    let webhook: serde_json::Value =
        serde_saphyr::from_str(&status("webhook", "payments")).unwrap();
    assert_eq!(webhook["spec"]["action"], "exampleListener");
    assert_eq!(webhook["status"]["uuid"], WEBHOOK);
    assert_eq!(webhook["status"]["url"], format!("{prefix}/{WEBHOOK}"));
    let conditions: Vec<_> = webhook["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["type"].as_str().unwrap(), c["status"].as_str().unwrap()))
        .collect();
    assert_eq!(conditions, [("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False")]);
}

#[test]
fn probes_say_whether_it_lives_and_serves() {
    let folders = Folders::new();
    let operator = Operator::standalone(&folders, &[]);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(request("GET", &format!("{}{probe}", operator.admin), &[], b"").status, 200);
    }
    let metrics = request("GET", &format!("{}/metrics", operator.admin), &[], b"");
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(metrics.body.contains("\nwebhook_operator_routes 0\n"), "{}", metrics.body);
}

#[test]
fn uuids_are_derived_stay_over_restarts_and_cannot_be_guessed_from_names() {
    let (folders, listener) = (Folders::new(), Listener::start());
    let yaml = manifest(&listener.url, "", "").replace(&format!("  uuid: {APP}\n"), "");
    folders.write("shop.yaml", &yaml.replace(&format!("  uuid: {WEBHOOK}\n"), ""));
    let operator = Operator::standalone(&folders, &[]);
    let url = operator.line();
    let path = |line: &str| line.split_once("/apps/").unwrap().1.to_owned();
    let (first, port) = (path(&url), operator.trigger.clone());
    assert_eq!(post(url.rsplit(' ').next().unwrap(), "{}").status, 200);
    operator.kill();
    let again = Operator::standalone(&folders, &[]);
    assert_eq!(path(&again.line()), first);
    drop(again);
    let elsewhere = Folders::new();
    elsewhere
        .write("shop.yaml", &fs::read_to_string(folders.manifests().join("shop.yaml")).unwrap());
    let other = Operator::standalone(&elsewhere, &[]);
    assert_ne!(path(&other.line()), first, "another key, another URL ({port})");
}

#[test]
fn what_the_app_api_made_is_still_there_after_kill_9() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    let token = token(&folders, "team-a/shop");
    let api = format!("{}/app/webhooks", operator.app_api);
    let made = as_app("POST", &api, &token, r#"{"action":"kept","props":{"b":1,"a":[1.5]}}"#);
    assert_eq!(made.status, 200, "{made:?}");
    let uuid = made.json()["uuid"].as_str().unwrap().to_owned();
    operator.kill();
    let operator = Operator::standalone(&folders, &[]);
    let url = format!("{}/apps/{APP}/webhooks/{uuid}", operator.trigger);
    post(&url, "{}").stored();
    let call = listener.call();
    assert!(
        call.text().starts_with(r#"{"action":"kept","props":{"b":1,"a":[1.5]},"#),
        "{}",
        call.text()
    );
    let one = format!("{}/app/webhooks/{uuid}", operator.app_api);
    assert_eq!(as_app("DELETE", &one, &token, "").status, 204);
    assert_eq!(post(&url, "{}").status, 404);
    operator.kill();
    let operator = Operator::standalone(&folders, &[]);
    let url = format!("{}/apps/{APP}/webhooks/{uuid}", operator.trigger);
    assert_eq!(post(&url, "{}").status, 404);
    assert_eq!(post(&operator.url(), "{}").status, 200);
}

#[test]
fn a_webhook_of_a_manifest_is_not_deleted_by_the_app() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    let url = format!("{}/app/webhooks/{WEBHOOK}", operator.app_api);
    let token = token(&folders, "team-a/shop");
    let refused = as_app("DELETE", &url, &token, "");
    assert_eq!((refused.status, refused.reason().as_str()), (409, "declared_in_manifest"));
    assert_eq!(post(&operator.url(), "{}").status, 200);
}

#[test]
fn a_changed_manifest_is_in_force_without_a_restart() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    assert_eq!(post(&operator.url(), "{}").status, 200);
    folders.write("shop.yaml", &manifest(&listener.url, "", "  suspend: true"));
    eventually("the webhook to be suspended", || {
        (post(&operator.url(), "{}").status == 503).then_some(())
    });
    folders.await_status("webhook", "team-a/payments", |yaml| yaml.contains("Suspended"));
    let app_alone = manifest(&listener.url, "", "").split("---").next().unwrap().to_owned();
    folders.write("shop.yaml", &app_alone);
    eventually("the webhook to go", || (post(&operator.url(), "{}").status == 404).then_some(()));
    folders.write("more.yaml", &webhook("later", &format!("  uuid: {WEBHOOK}")));
    eventually("the new one to come", || (post(&operator.url(), "{}").status == 202).then_some(()));
    let gone = folders.data().join("status/webhook/team-a/payments.yaml");
    eventually("its status file to go", || (!gone.exists()).then_some(()));
}

#[test]
fn each_mistake_is_told_with_its_place_and_disturbs_nothing_else() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("a.yaml", &manifest(&listener.url, "", ""));
    for (file, yaml) in [
        ("syntax.yaml", "kind: [unclosed\n".to_owned()),
        ("unknown.yaml", webhook("unknown-field", "  acton: typo")),
        ("twice.yaml", webhook("payments", "")),
        ("capital.yaml", webhook("capital", &format!("  uuid: {}", WEBHOOK.to_uppercase()))),
        ("kind.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n".to_owned()),
        ("path.yaml", webhook("../../escape", "")),
        (
            "long.yaml",
            webhook("long", &format!("  forwardHeaders: [Authorization]\n  uuid: {APP}")),
        ),
    ] {
        folders.write(file, &yaml);
    }
    // Two documents of one file: the broken one does not stop the other.
    folders.write("both.yaml", &format!("kind: [broken\n---\n{}", webhook("beside", "")));
    let operator = Operator::standalone(&folders, &[]);
    for words in [
        &["syntax.yaml"][..],
        &["unknown.yaml", "acton"],
        &["twice.yaml", "a.yaml", "payments"],
        &["capital.yaml", "uuid"],
        &["kind.yaml", "Pod"],
        &["path.yaml"],
        &["long.yaml", "forwardHeaders"],
        &["both.yaml"],
    ] {
        operator.await_log(words);
    }
    assert_eq!(post(&operator.url(), "{}").status, 200);
    assert_eq!(
        listener.call().json()["action"],
        "exampleListener",
        "the first of two has the name"
    );
    folders.await_status("webhook", "team-a/beside", |yaml| yaml.contains("url: http"));
    folders.await_status("webhook", "team-a/capital", |yaml| yaml.contains("Invalid"));
    assert!(!folders.data().join("escape.yaml").exists());
    let log = operator.log().join("\n");
    assert!(!log.contains(WEBHOOK), "no URL in the log: {log}");
}

#[test]
fn a_mistake_made_later_leaves_what_was_good_in_force() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    for bad in [
        manifest(&listener.url, "", "  maxBodyBytes: 0"),
        manifest(&listener.url, "    timeout: 1h", ""),
        manifest(&listener.url, "", "").replace(WEBHOOK, APP),
        manifest(&listener.url, "", "").replace("kind: Webhook\n", "kind: [\n"),
    ] {
        folders.write("shop.yaml", &bad);
        let seen = operator.log().len();
        eventually("the mistake to be told", || (operator.log().len() > seen).then_some(()));
        assert_eq!(post(&operator.url(), "{}").status, 200, "{bad}\n{:#?}", operator.log());
    }
}

#[test]
fn a_listener_url_into_a_denied_network_is_stalled_beside_a_service_that_is_there() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("url.yaml", &manifest(&listener.url, "", ""));
    let port = listener.url.trim_end_matches('/').rsplit(':').next().unwrap();
    let service = format!(
        "apiVersion: lenra.io/v1alpha1
kind: WebhookApp
metadata: {{name: quiet, namespace: team-b}}
spec:
  listener: {{service: {{name: shop, port: http}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: team-b}}
spec: {{clusterIP: 127.0.0.1, ports: [{{name: http, port: {port}}}]}}
"
    );
    folders.write("service.yaml", &service);
    let operator =
        Operator::standalone(&folders, &["--egress-deny-cidr", "10.0.0.0/8,127.0.0.0/8"]);
    let app = folders.await_status("webhookapp", "team-a/shop", |yaml| !yaml.is_empty());
    assert!(app.contains("ListenerAddressRefused"), "{app}");
    assert!(app.contains("listener.url points to a network"), "{app}");
    let quiet = folders.await_status("webhookapp", "team-b/quiet", |yaml| !yaml.is_empty());
    assert!(!quiet.contains("Refused"), "{quiet}");
    assert_eq!(post(&operator.url(), "{}").status, 503);
    listener.expect_no_call();
}

#[test]
fn a_listener_that_cannot_be_reached_by_rule_is_stalled_with_a_reason_for_people() {
    let folders = Folders::new();
    folders.write("url.yaml", &manifest("http://169.254.169.254/latest", "", ""));
    folders.write(
        "service.yaml",
        "apiVersion: lenra.io/v1alpha1
kind: WebhookApp
metadata: {name: no-port, namespace: team-a}
spec:
  listener: {service: {name: shop, port: missing}}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: team-a}
spec: {ports: [{name: http, port: 8080}]}
",
    );
    let operator = Operator::standalone(&folders, &[]);
    let app = folders.await_status("webhookapp", "team-a/shop", |yaml| !yaml.is_empty());
    assert!(app.contains("ListenerAddressRefused"), "{app}");
    let app = folders.await_status("webhookapp", "team-a/no-port", |yaml| !yaml.is_empty());
    assert!(app.contains("PortNotFound") && app.contains("8080 (http)"), "{app}");
    let answer = post(&operator.url(), "{}");
    assert_eq!((answer.status, answer.reason().as_str()), (503, "not_ready"));
}

#[test]
fn two_apps_with_one_uuid_are_settled_and_shown() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let thief = manifest(&listener.url, "", "").replace("team-a", "team-b");
    let operator = Operator::standalone(&folders, &[]);
    folders.write("thief.yaml", &thief.replace("exampleListener", "stolen"));
    let status = folders.await_status("webhookapp", "team-b/shop", |yaml| !yaml.is_empty());
    assert!(status.contains("UUIDConflict"), "{status}");
    assert!(!status.contains("team-a"), "who is in another namespace is not told: {status}");
    assert_eq!(post(&operator.url(), "{}").status, 200);
    assert_eq!(listener.call().json()["action"], "exampleListener");
}

#[test]
fn what_is_wrong_at_the_start_is_one_line_and_exit_code_2() {
    let folders = Folders::new();
    let manifests = folders.manifests();
    let manifests = manifests.to_str().unwrap();
    let data = folders.data();
    let data = data.to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for args in [
        &["standalone", "--manifests", "/nowhere", "--data-dir", data][..],
        &["standalone", "--manifests", manifests, "--data-dir", "/proc/nowhere"],
        &["standalone", "--manifests", manifests, "--data-dir", data, "--trigger-addr", &taken],
        &["standalone", "--manifests", manifests, "--external-url", "hooks"],
        &["standalone", "--manifests", manifests, "--max-body-bytes", "33Mi"],
        &["standalone", "--manifests", manifests, "--no-such-flag"],
        &["standalone"],
        &["standalone", "token", "--data-dir", "/nowhere", "--app", "a/b"],
        &["standalone", "token", "--data-dir", data, "--app", "ab"],
        &["run", "--kubeconfig", "/nowhere"],
        &["no-such-command"],
    ] {
        let ended = output(args);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.starts_with("error: ") && !said.contains("panicked"), "{args:?}: {said}");
        let first = said.lines().next().unwrap();
        let cause = first.rsplit(": ").next().unwrap();
        assert_eq!(first.matches(cause).count(), 1, "said twice: {first}");
    }
}

#[test]
fn a_second_operator_on_the_same_data_dir_or_port_is_refused() {
    let folders = Folders::new();
    let operator = Operator::standalone(&folders, &[]);
    let (manifests, data) = (folders.manifests(), folders.data());
    let args = ["standalone", "--manifests", manifests.to_str().unwrap(), "--data-dir"];
    let zero = [
        "--trigger-addr",
        "127.0.0.1:0",
        "--app-api-addr",
        "127.0.0.1:0",
        "--admin-addr",
        "127.0.0.1:0",
    ];
    let same_data = output(&[&args[..], &[data.to_str().unwrap()], &zero].concat());
    assert_eq!(same_data.status.code(), Some(2));
    let elsewhere = Folders::new();
    let port = operator.trigger.strip_prefix("http://").unwrap();
    let data = elsewhere.data();
    let same_port = output(
        &[&args[..], &[data.to_str().unwrap(), "--trigger-addr", port], &zero[2..]].concat(),
    );
    assert_eq!(same_port.status.code(), Some(2));
    assert!(String::from_utf8(same_port.stderr).unwrap().contains("--trigger-addr"));
}

#[test]
fn the_demo_shows_the_main_job_and_ends_when_told() {
    let ended = output(&["demo", "--once"]);
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{shown}");
    let stored = "202 Accepted {\"id\":\"";
    for part in ["1. Declared", stored, "\"currency\": \"EUR\"", "\"environment_id\":1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn every_flag_is_in_the_help_with_its_default() {
    for command in ["run", "standalone", "demo", "listen", "crds"] {
        let help = output(&[command, "--help"]);
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success() && text.contains("Usage:"), "{text}");
    }
    let help = String::from_utf8(output(&["standalone", "--help"]).stdout).unwrap();
    for default in
        ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:9090", "./data", "32Ki", "30s", "10s"]
    {
        assert!(help.contains(&format!("[default: {default}]")), "{default}: {help}");
    }
}
