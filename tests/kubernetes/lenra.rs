//! The table of the protocol that apps already speak, over each source of resources. A webhook that an app
//! makes is queued, as every webhook is that says nothing else: it answers 202 where the table has 200 "ok".

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::http::{Response, as_app, post, request};
use crate::support::listener::Listener;
use crate::support::operator::{APP, Folders, Operator, WEBHOOK, manifest, output};

/// One operator with one app, whose listener records its calls.
struct Setting {
    operator: Operator,
    listener: Listener,
    token: String,
}

impl Setting {
    fn create(&self, body: &str) -> Response {
        as_app("POST", &format!("{}/app/webhooks", self.operator.app_api), &self.token, body)
    }

    fn create_later_generation(&self, body: &str) -> Response {
        let url = format!("{}/app-api/v1/webhooks", self.operator.app_api);
        as_app("POST", &url, &self.token, body)
    }

    fn trigger(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request("POST", &self.operator.url(), headers, body)
    }

    fn event_of(&self, headers: &[(&str, &str)], body: &[u8]) -> serde_json::Value {
        let response = self.trigger(headers, body);
        assert_eq!((response.status, response.body.as_str()), (200, "\"ok\""), "{response:?}");
        self.listener.call().json()["event"].clone()
    }
}

#[test]
fn apps_find_the_protocol_they_speak_in_standalone() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    let data = folders.data();
    let printed = output(&[
        "standalone",
        "token",
        "--data-dir",
        data.to_str().unwrap(),
        "--app",
        "team-a/shop",
    ]);
    let token = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
    speaks_the_protocol(&Setting { operator, listener, token });
}

#[test]
fn apps_find_the_protocol_they_speak_in_a_cluster() {
    let (cluster, listener) = (Cluster::start(), Listener::start());
    let crds = output(&["crds"]);
    cluster.apply(&String::from_utf8(crds.stdout).unwrap());
    for crd in ["crd/webhookapps.lenra.io", "crd/webhooks.lenra.io"] {
        assert!(cluster.kubectl(&["wait", "--for=condition=Established", crd]).ok);
    }
    assert!(cluster.kubectl(&["create", "namespace", "team-a"]).ok);
    cluster.apply(&manifest(&listener.url, "", ""));
    let operator = Operator::run(cluster.kubeconfig(), &[]);
    operator.await_synced();
    // The token that a listener call brings.
    assert_eq!(post(&operator.url(), "{}").status, 200);
    let api = listener.call().json()["api"].clone();
    let token = api["token"].as_str().unwrap().to_owned();
    speaks_the_protocol(&Setting { operator, listener, token });
}

fn speaks_the_protocol(setting: &Setting) {
    creates(setting);
    creates_in_the_later_generation(setting);
    refuses_to_create(setting);
    triggers(setting);
    refuses_triggers(setting);
    keeps_props_and_event_apart(setting);
}

fn creates(setting: &Setting) {
    let created = setting.create(r#"{"action":"exampleListener","props":{"userId":1},"more":[]}"#);
    assert_eq!(created.status, 200, "{created:?}");
    let uuid = created.json()["uuid"].as_str().unwrap().to_owned();
    let exactly = format!(
        r#"{{"uuid":"{uuid}","action":"exampleListener","props":{{"userId":1}},"environment_id":1,"user_id":null}}"#
    );
    assert_eq!(created.body, exactly);
    // It answers triggers now, on both ports.
    for port in [&setting.operator.trigger, &setting.operator.app_api] {
        let answer =
            post(&format!("{port}/apps/{APP}/webhooks/{uuid}"), r#"{"triggerData":"someData"}"#);
        let id = answer.stored();
        let call = setting.listener.call();
        assert_eq!(call.header("webhook-event-id"), Some(&*id));
        let begin = r#"{"action":"exampleListener","props":{"userId":1},"event":{"triggerData":"someData"},"api":{"url":""#;
        assert!(call.text().starts_with(begin), "{}", call.text());
        assert_eq!(call.header("content-type"), Some("application/json"));
        assert_eq!(call.json().as_object().unwrap().len(), 4);
    }
    let without_props = setting.create(r#"{"action":"test"}"#).json();
    assert_eq!(without_props["props"], json!(null));
    assert_eq!(setting.create(r#"{"action":"test","user_id":7}"#).json()["user_id"], json!(7));
}

fn creates_in_the_later_generation(setting: &Setting) {
    let created = setting.create_later_generation(r#"{"listener":"test"}"#).json();
    assert_eq!(created["listener"], "test");
    assert_eq!(created.get("action"), None);
    let refused = setting.create_later_generation("{}");
    assert_eq!((refused.status, refused.reason().as_str()), (400, "invalid_listener"));
}

fn refuses_to_create(setting: &Setting) {
    let refused = setting.create("{}");
    assert_eq!((refused.status, refused.reason().as_str()), (400, "invalid_action"));
    assert_eq!(refused.json()["message"], "action can't be blank");
    let url = format!("{}/app/webhooks", setting.operator.app_api);
    let nobody = post(&url, r#"{"action":"test"}"#);
    assert_eq!((nobody.status, nobody.reason().as_str()), (401, "unauthenticated"));
    let forged = as_app("POST", &url, &format!("{}x", setting.token), r#"{"action":"test"}"#);
    assert_eq!((forged.status, forged.reason().as_str()), (401, "invalid_token"));
}

fn triggers(setting: &Setting) {
    let json = &[("Content-Type", "application/json")][..];
    let form = &[("Content-Type", "application/x-www-form-urlencoded")][..];
    assert_eq!(
        setting.event_of(json, br#"{"triggerData":"someData"}"#),
        json!({"triggerData": "someData"})
    );
    assert_eq!(setting.event_of(&[], b""), json!({}));
    assert_eq!(setting.event_of(json, b""), json!({}));
    assert_eq!(setting.event_of(json, b"[1,2]"), json!({"_json": [1, 2]}));
    assert_eq!(setting.event_of(form, b"a=1"), json!({"a": "1"}));
    // What the first implementation truncated, and what it lost.
    assert_eq!(setting.event_of(json, "{\"grüße\":\"日本\"}".as_bytes()), json!({"grüße": "日本"}));
    assert_eq!(setting.event_of(&[], b"just text"), json!({"_text": "just text"}));
    let capitals = setting.operator.url().replace(WEBHOOK, &WEBHOOK.to_uppercase());
    assert_eq!(post(&capitals, "{}").status, 200);
    setting.listener.call();
}

fn refuses_triggers(setting: &Setting) {
    let url = setting.operator.url();
    assert_eq!(post(&url.replace(WEBHOOK, "malformed"), "{}").status, 400);
    for unknown in [url.replace(WEBHOOK, APP), url.replace(APP, WEBHOOK)] {
        let answer = post(&unknown, "{}");
        let body = r#"{"message":"Not Found.","reason":"error_404","metadata":{}}"#;
        assert_eq!((answer.status, answer.body.as_str()), (404, body));
    }
    let json = &[("Content-Type", "application/json")][..];
    let fitting = format!("{{\"a\":\"{}\"}}", "x".repeat(8_000_000 - 8));
    assert_eq!(setting.trigger(json, fitting.as_bytes()).status, 200);
    assert!(setting.listener.call().text().contains(&fitting));
    let too_large = setting.trigger(json, format!("{fitting} ").as_bytes());
    assert_eq!((too_large.status, too_large.reason().as_str()), (413, "payload_too_large"));
    setting.listener.expect_no_call();
}

fn keeps_props_and_event_apart(setting: &Setting) {
    let created = setting.create(r#"{"action":"a","props":{"propKey":"propValue"}}"#).json();
    let uuid = created["uuid"].as_str().unwrap();
    let url = format!("{}/apps/{APP}/webhooks/{uuid}", setting.operator.trigger);
    post(&url, r#"{"eventPropKey":"eventPropValue"}"#).stored();
    let call = setting.listener.call().json();
    assert_eq!(call["props"], json!({"propKey": "propValue"}));
    assert_eq!(call["event"], json!({"eventPropKey": "eventPropValue"}));
}
