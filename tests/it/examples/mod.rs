//! The examples in a running program: each webhook gets Ready, takes what its sender sends, and
//! refuses what is forged.

mod files;
mod senders;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use files::{Example, examples, manifests, project};
use senders::{SENDERS, Sender, Signing};
use serde_json::{Value, json};

use crate::support::http::{Response, request};
use crate::support::listener::Listener;
use crate::support::operator::{Folders, Operator, eventually, output};

/// The webhook of `jwt.yaml`, whose sender needs an issuer.
const OF_AN_ISSUER: &str = "pubsub";

/// Where senders are, as the proxy before the trigger port tells it: within the `sourceRanges` of
/// `limits.yaml`.
const FROM: &str = "192.0.2.7";

/// All examples in one operator, and the Service that they name.
struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
}

impl Setting {
    fn new() -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        let port = listener.url.trim_end_matches('/').rsplit(':').next().unwrap();
        for file in manifests() {
            folders.write(&file.name, &adapted(&file.text, port));
        }
        folders.write("service.yaml", &service(port));
        let operator = Operator::standalone(&folders, &["--trusted-proxies", "127.0.0.0/8"]);
        Self { folders, operator, listener }
    }

    /// The URL of a webhook, once it is Ready.
    fn url(&self, webhook: &str) -> String {
        let read = |status: &str| serde_saphyr::from_str::<Value>(status).unwrap_or_default();
        let is_ready = |status: &str| {
            let conditions = &read(status)["status"]["conditions"];
            let mut conditions = conditions.as_array().into_iter().flatten();
            conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        let status = self.folders.await_status("webhook", &format!("team-a/{webhook}"), is_ready);
        read(&status)["status"]["url"].as_str().unwrap().to_owned()
    }
}

/// A manifest that works on this machine: the port of its Service is the listener's, and nobody
/// asks a real issuer for keys.
fn adapted(text: &str, port: &str) -> String {
    assert!(text.contains("port: 8090"), "another port: {text}");
    let text = text.replace("port: 8090", &format!("port: {port}"));
    text.replace("https://www.googleapis.com/", "https://127.0.0.1:1/")
}

fn service(port: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: team-a}}
spec: {{clusterIP: 127.0.0.1, ports: [{{port: {port}}}]}}
"
    )
}

/// What a sender posts.
struct Request<'a> {
    sender: &'a Sender,
    url: String,
    body: String,
    proof: Vec<(&'static str, String)>,
}

impl<'a> Request<'a> {
    fn new(sender: &'a Sender, example: &Example, url: String) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let body = sender.body.replace("{millis}", &now.as_millis().to_string());
        let signing =
            Signing { secret: example.secret(), url: &url, body: &body, now: now.as_secs() };
        let proof = (sender.proof)(&signing);
        Self { sender, url, body, proof }
    }

    fn send(&self) -> Response {
        self.send_from(FROM, &self.proof)
    }

    fn send_from(&self, address: &str, proof: &[(&str, String)]) -> Response {
        let mut headers =
            vec![("Content-Type", self.sender.content_type), ("X-Forwarded-For", address)];
        headers.extend(self.sender.told);
        headers.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
        request("POST", &self.url, &headers, self.body.as_bytes())
    }

    /// Sends it with a proof that is of the right form, and wrong.
    fn send_forged(&self) -> Response {
        let mut proof = self.proof.clone();
        let (_, value) = proof.last_mut().unwrap();
        // A digit of hexadecimal as well as of base64, before what may be padding.
        let at = value.len() - 4;
        let other = if &value[at..=at] == "0" { "1" } else { "0" };
        value.replace_range(at..=at, other);
        self.send_from(FROM, &proof)
    }

    fn event(&self) -> Value {
        if let Some(transformed) = self.sender.transformed {
            return serde_json::from_str(transformed).unwrap();
        }
        if self.sender.content_type == "application/json" {
            return serde_json::from_str(&self.body).unwrap();
        }
        let fields = form_urlencoded::parse(self.body.as_bytes()).into_owned();
        json!(fields.collect::<BTreeMap<_, _>>())
    }
}

fn sender(webhook: &str) -> &'static Sender {
    SENDERS.iter().find(|sender| sender.webhook == webhook).unwrap()
}

fn example(webhook: &str) -> Example {
    examples().into_iter().find(|example| example.name == webhook).unwrap()
}

#[test]
fn every_example_has_a_sender_and_every_provider_an_example() {
    let examples = examples();
    let mut webhooks: Vec<_> = examples.iter().map(|example| &*example.name).collect();
    let mut expected: Vec<_> = SENDERS.iter().map(|sender| sender.webhook).collect();
    expected.push(OF_AN_ISSUER);
    webhooks.sort_unstable();
    expected.sort_unstable();
    assert_eq!(webhooks, expected);
    let types: BTreeSet<_> =
        examples.iter().filter_map(|example| example.spec["verify"][0]["type"].as_str()).collect();
    for provider in webhook_operator::verify::PROVIDERS {
        assert!(types.contains(provider.name), "{} has no example", provider.name);
    }
}

#[test]
fn every_file_is_complete_by_itself() {
    for example in examples() {
        let has = |kind: &str, name: &Value| {
            assert!(example.beside(kind, name).is_some(), "{} has no {kind} {name}", example.file);
        };
        has("WebhookApp", &example.spec["app"]);
        for entry in example.spec["verify"].as_array().into_iter().flatten() {
            let secrets = entry["secretRefs"].as_array().into_iter().flatten();
            secrets.chain(entry.get("verifyToken")).for_each(|named| has("Secret", &named["name"]));
        }
    }
}

#[test]
fn every_example_is_told_of_in_the_docs() {
    let read = |path: &str| fs::read_to_string(project(path)).unwrap();
    let (readme, providers) = (read("examples/README.md"), read("docs/providers.md"));
    for file in manifests() {
        let name = &file.name;
        assert!(readme.contains(&format!("- [{name}]({name}): ")), "README.md has no {name}");
        let is_of_a_sender = !["shop.yaml", "limits.yaml", "transform.yaml"].contains(&&**name);
        let link = format!("](../examples/{name})");
        assert_eq!(providers.contains(&link), is_of_a_sender, "providers.md and {name}");
    }
}

#[test]
fn each_webhook_takes_what_its_sender_sends_and_refuses_what_is_forged() {
    let setting = Setting::new();
    for sender in SENDERS {
        let example = example(sender.webhook);
        let request = Request::new(sender, &example, setting.url(&example.name));
        let about = &example.file;
        let answer = request.send();
        let id = answer.stored();
        let call = setting.listener.call();
        assert_eq!(call.header("webhook-event-id"), Some(&*id), "{about}");
        let told = call.json();
        assert_eq!(told["event"], request.event(), "{about}");
        assert_eq!(told["action"], example.spec["action"], "{about}");
        assert_eq!(told["props"], example.spec["props"], "{about}");
        for (name, value) in sender.told {
            assert_eq!(call.header(name), Some(*value), "{about}: {name}");
        }
        if !request.proof.is_empty() {
            for answer in [request.send_forged(), request.send_from(FROM, &[])] {
                assert_eq!(answer.status, 401, "{about}: {answer:?}");
                assert_eq!(answer.reason(), "invalid_signature", "{about}");
            }
        }
        setting.listener.expect_no_call();
    }
    // All were loaded as they are: no file is told to be wrong.
    let log = setting.operator.log();
    assert!(!log.iter().any(|line| line.contains(".yaml:")), "{log:#?}");
}

#[test]
fn a_token_is_refused_without_the_keys_of_its_issuer() {
    let setting = Setting::new();
    let url = setting.url(OF_AN_ISSUER);
    let post = |headers: &[(&str, &str)]| request("POST", &url, headers, b"{}");
    assert_eq!(post(&[]).status, 401);
    // {"alg":"RS256"} and {}: nobody can tell yet whether the issuer signed it.
    let answer = post(&[("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.AAAA")]);
    assert_eq!((answer.status, answer.reason().as_str()), (503, "not_ready"));
    setting.listener.expect_no_call();
}

#[test]
fn a_sender_of_cloud_events_is_told_that_it_may_send() {
    let setting = Setting::new();
    let url = setting.url("eventgrid");
    let ask = |origin: &str| request("OPTIONS", &url, &[("WebHook-Request-Origin", origin)], b"");
    let answer = ask("eventgrid.azure.net");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("webhook-allowed-origin"), Some("eventgrid.azure.net"));
    assert_eq!(ask("elsewhere.example.com").status, 405);
}

#[test]
fn a_subscription_of_meta_is_answered_where_it_shows_the_verify_token() {
    let setting = Setting::new();
    let url = setting.url("meta");
    let ask = |token: &str| {
        let query = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";
        request("GET", &format!("{url}{query}{token}"), &[], b"")
    };
    let answer = ask("replace-me-by-a-text-of-your-own");
    assert_eq!((answer.status, &*answer.body), (200, "1158201444"));
    assert_eq!(ask("guess").status, 401);
}

#[test]
fn a_sender_from_elsewhere_is_refused_and_one_that_sends_too_much_is_slowed_down() {
    let setting = Setting::new();
    let request = Request::new(sender("partner"), &example("partner"), setting.url("partner"));
    let answer = request.send_from("198.51.100.7", &request.proof);
    assert_eq!((answer.status, answer.reason().as_str()), (403, "source_not_allowed"));
    setting.listener.expect_no_call();
    request.send_from("2001:db8::7", &request.proof).stored();
    let refused =
        eventually("the limit", || Some(request.send()).filter(|answer| answer.status != 202));
    assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
}

#[test]
fn the_command_line_signs_a_test_event_for_every_webhook_whose_sender_has_a_secret() {
    let setting = Setting::new();
    let (manifests, data) = (setting.folders.manifests(), setting.folders.data());
    let trigger = |webhook: &str| {
        setting.url(webhook);
        output(&[
            "trigger",
            webhook,
            "--manifests",
            manifests.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
            "--server",
            &setting.operator.admin,
            "--header",
            &format!("X-Forwarded-For: {FROM}"),
        ])
    };
    for example in examples() {
        let ended = trigger(&example.name);
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        match &*example.name {
            "discord" => assert!(said.contains("has only the public one"), "{said}"),
            OF_AN_ISSUER => assert!(said.contains("only the issuer can create"), "{said}"),
            name => {
                let call = setting.listener.call();
                assert_eq!(call.json()["action"], example.spec["action"], "{name}");
                assert!(ended.status.success() && said.contains("Delivered"), "{name}: {said}");
            }
        }
    }
}
