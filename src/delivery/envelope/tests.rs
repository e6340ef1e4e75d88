use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ApiField, preserve, preserve_rule, wrap};
use crate::delivery::{OutgoingEvent, Subject, passed_on};
use crate::event::{self, BodyRule, Form};
use crate::resources::Envelope;
use crate::retry::Policy;
use crate::routes::{App, AppId, ForwardedHeaders};
use crate::store::{Content, ids};

const APP: Uuid = Uuid::from_u128(0x1436_1375_54d4_4ddb_8d2d_0dd2_12e1_3cd1);
const WEBHOOK: Uuid = Uuid::from_u128(0xc149_90db_96a1_44c6_b13a_8ab1_2db9_6f61);

/// 2026-11-28T02:40:00.123Z.
const ACCEPTED_MS: u64 = 1_795_833_600_123;

/// A request as the listener gets it, without the operator's own headers.
#[derive(Debug)]
struct Call {
    headers: HeaderMap,
    query: Option<HeaderValue>,
    body: Vec<u8>,
}

impl Call {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn content_type(&self) -> &str {
        self.headers["content-type"].to_str().unwrap()
    }
}

/// A trigger.
#[derive(Clone, Default)]
struct Trigger {
    headers: Vec<(&'static str, &'static str)>,
    query: Option<&'static str>,
    body: &'static [u8],
}

fn app(envelope: Envelope) -> App {
    App {
        id: AppId::new("team-a", APP),
        uuid: APP,
        namespace: "team-a".into(),
        name: "shop".into(),
        instance: "".into(),
        target: None,
        envelope,
        timeout: Duration::from_secs(1),
        concurrency: 1,
        retry: Arc::new(Policy::default()),
        load: Arc::default(),
    }
}

/// The call of an app that had the first envelope when the event was accepted, and has the second
/// one now.
fn call_after_change(
    trigger: &Trigger,
    then: Envelope,
    now: Envelope,
    props: &str,
) -> Option<Call> {
    let mut sent = HeaderMap::new();
    for (name, value) in &trigger.headers {
        sent.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let content_type = sent.get("content-type").cloned();
    let encodings: Vec<_> = sent.get_all("content-encoding").iter().cloned().collect();
    let names = Box::new([HeaderName::from_static("x-kept")]);
    let forwarded = ForwardedHeaders { names, ..ForwardedHeaders::default() };
    let mut headers = passed_on(&forwarded, &[], sent);
    if then == Envelope::Raw {
        preserve(&mut headers, &encodings, trigger.query);
    }
    let body = Bytes::from_static(trigger.body);
    let content = Content { form: Form::Converted, content_type, headers, body };
    let id = ids::from_parts(ACCEPTED_MS << 20, 0);
    let (app, props) = (app(now), Bytes::from(props.to_owned()));
    let subject =
        Subject { app: &app, webhook: WEBHOOK, name: "payments", action: "paid", props: &props };
    let outgoing = OutgoingEvent::new(id, content);
    let enveloped = wrap(subject, outgoing, || ApiField::new("http://api", "token")).ok()?;
    let body = enveloped.body.to_bytes().to_vec();
    Some(Call { headers: enveloped.headers, query: enveloped.query, body })
}

fn call(envelope: Envelope, trigger: &Trigger) -> Call {
    call_after_change(trigger, envelope, envelope, r#"{"a": 1}"#).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn action_and_listener_differ_in_one_name() {
    let trigger = Trigger { headers: vec![JSON], body: b"[1]", ..Trigger::default() };
    for (envelope, name) in [(Envelope::Action, "action"), (Envelope::Listener, "listener")] {
        let call = call(envelope, &trigger);
        let expected = format!(
            r#"{{"{name}":"paid","props":{{"a": 1}},"event":{{"_json":[1]}},"api":{{"url":"http://api","token":"token"}}}}"#
        );
        assert_eq!(String::from_utf8(call.body.clone()).unwrap(), expected);
        assert_eq!(call.content_type(), "application/json");
    }
}

#[test]
fn an_event_becomes_a_cloud_event_of_the_operator() {
    let trigger = Trigger { headers: vec![JSON], body: br#"{"n":1}"#, ..Trigger::default() };
    let call = call(Envelope::CloudEvent, &trigger);
    assert_eq!(call.content_type(), "application/cloudevents+json");
    assert_eq!(
        call.json(),
        json!({
            "specversion": "1.0",
            "id": ids::from_parts(ACCEPTED_MS << 20, 0),
            "source": format!("/apps/{APP}/webhooks/{WEBHOOK}"),
            "type": "paid",
            "time": "2026-11-28T02:40:00.123Z",
            "datacontenttype": "application/json",
            "data": {"n": 1},
            "webhookprops": "{\"a\": 1}",
        })
    );
}

#[test]
fn props_that_are_absent_are_no_attribute() {
    let trigger = Trigger { body: b"text", ..Trigger::default() };
    let envelope = Envelope::CloudEvent;
    let call = call_after_change(&trigger, envelope, envelope, "null").unwrap().json();
    assert_eq!(call.get("webhookprops"), None);
    assert_eq!(call["data"], json!({"_text": "text"}));
}

#[test]
fn a_structured_cloud_event_keeps_its_attributes_but_for_the_props() {
    let headers = vec![("content-type", "application/cloudevents+json; charset=UTF-8")];
    let body = br#" {"type":"t","source":"s","id":"7","webhookprops":"forged","specversion":"1.0","n":1,
        "webhook\u0070rops":"forged","datacontenttype":"text/plain","data":"<b>","data_base64":"eA=="} "#;
    let call = call(Envelope::CloudEvent, &Trigger { headers, body, query: None });
    assert_eq!(
        String::from_utf8(call.body).unwrap(),
        r#"{"type":"t","source":"s","id":"7","specversion":"1.0","n":1,"datacontenttype":"text/plain","data":"<b>","data_base64":"eA==","webhookprops":"{\"a\": 1}"}"#
    );
}

#[test]
fn a_binary_cloud_event_keeps_its_attributes_but_for_the_props() {
    let headers = vec![
        ("content-type", "application/vnd.shop+json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/s%20t"),
        ("ce-type", "t"),
        ("ce-subject", "x"),
        ("ce-webhookprops", "forged"),
    ];
    let call = call(Envelope::CloudEvent, &Trigger { headers, body: b"{}", query: None });
    assert_eq!(
        call.json(),
        json!({
            "specversion": "1.0", "id": "7", "source": "/s t", "type": "t", "subject": "x",
            "datacontenttype": "application/vnd.shop+json", "data": {},
            "webhookprops": "{\"a\": 1}",
        })
    );
    assert_eq!(call.headers["ce-id"], "7");
}

#[test]
fn raw_is_what_the_sender_sent() {
    let headers = vec![
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("x-kept", "1"),
        ("x-other", "2"),
        ("ce-id", "7"),
    ];
    let body = &b"\x1f\x8b\xff not JSON"[..];
    let call = call(Envelope::Raw, &Trigger { headers, body, query: Some("a=%20&b") });
    assert_eq!(call.body, body);
    assert_eq!(call.query.unwrap(), "a=%20&b");
    let mut names: Vec<_> = call.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["ce-id", "content-encoding", "content-type", "x-kept"]);
    assert_eq!(call.headers["content-encoding"], "gzip");
}

#[test]
fn raw_without_a_content_type_has_none() {
    let call = call(Envelope::Raw, &Trigger { body: b"{}", ..Trigger::default() });
    assert_eq!((call.headers.len(), call.query, call.body), (0, None, b"{}".to_vec()));
}

#[test]
fn an_event_of_raw_gets_the_envelope_that_its_app_has_now() {
    let (raw, action) = (Envelope::Raw, Envelope::Action);
    let headers = vec![JSON, ("content-encoding", "identity")];
    let trigger = Trigger { headers, body: b"{}", query: Some("a=1") };
    let call = call_after_change(&trigger, raw, action, "null").unwrap();
    assert_eq!((call.headers.len(), call.query.clone()), (1, None), "{call:?}");
    assert_eq!(call.json()["event"], json!({}));
    // What is not JSON was accepted by an app that does not need it to be.
    let broken = Trigger { body: b"{", ..trigger };
    assert!(call_after_change(&broken, raw, action, "null").is_none());
}

#[test]
fn an_encoded_event_of_raw_is_decoded_for_another_envelope() {
    let (raw, action) = (Envelope::Raw, Envelope::Action);
    // The gzip of {"n":1}, as another program encodes it.
    let gzip: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\x53\xb2\x32\xac\x05\x00\x7e\x3b\x4b\xd4\x07\x00\x00\x00";
    let headers = vec![JSON, ("content-encoding", "gzip")];
    let trigger = Trigger { headers, body: gzip, query: None };
    let call = call_after_change(&trigger, raw, action, "null").unwrap();
    assert_eq!(call.json()["event"], json!({"n": 1}));
    assert_eq!(call.headers.get("content-encoding"), None);
    for (coding, body) in [("compress", gzip), ("gzip", &gzip[1..])] {
        let headers = vec![JSON, ("content-encoding", coding)];
        let trigger = Trigger { headers, body, query: None };
        assert!(call_after_change(&trigger, raw, action, "null").is_none(), "{coding}");
    }
}

#[test]
fn an_event_is_converted_by_the_rule_with_which_it_was_stored() {
    let form = &b"payload=%7B%22n%22%3A1%7D&a=2"[..];
    let form_type = "application/x-www-form-urlencoded";
    let event = |rule: &BodyRule, content_type, body: &'static [u8]| {
        let mut headers = HeaderMap::new();
        preserve_rule(&mut headers, rule);
        let content_type = Some(HeaderValue::from_static(content_type));
        let body = Bytes::from_static(body);
        let content = Content { form: Form::Converted, content_type, headers, body };
        let (app, props) = (app(Envelope::Action), Bytes::from_static(b"null"));
        let subject =
            Subject { app: &app, webhook: WEBHOOK, name: "x", action: "a", props: &props };
        let outgoing = OutgoingEvent::new(ids::from_parts(ACCEPTED_MS << 20, 0), content);
        let enveloped = wrap(subject, outgoing, || ApiField::new("", "")).unwrap();
        assert_eq!(enveloped.headers.len(), 1, "{:?}", enveloped.headers);
        let body: Value = serde_json::from_slice(&enveloped.body.to_bytes()).unwrap();
        body["event"].clone()
    };
    for (rule, content_type, body, expected) in [
        (BodyRule::of_provider("payload"), form_type, form, json!({"n": 1})),
        (BodyRule::Auto, form_type, form, json!({"payload": "{\"n\":1}", "a": "2"})),
        (BodyRule::Json, "text/plain", b"{\"n\":1}", json!({"n": 1})),
        (BodyRule::Text, "application/json", b"{}", json!({"_text": "{}"})),
        (BodyRule::Binary, "application/json", b"{}", json!({"_base64": "e30="})),
    ] {
        assert_eq!(event(&rule, content_type, body), expected, "{rule:?}");
    }
}

proptest! {
    /// Whatever a stranger sends with whatever attributes, the body is one JSON object with the
    /// operator's props.
    #[test]
    fn a_cloud_event_is_always_one_object_with_the_props_of_the_webhook(
        body in proptest::collection::vec(any::<u8>(), 0..64),
        members in proptest::collection::vec(("specversion|id|source|type|webhookprops|data|x", "[ -~]{0,8}"), 0..8),
        mode in 0..3,
    ) {
        let object: Vec<String> =
            members.iter().map(|(name, value)| format!("{}:{}", json!(name), json!(value))).collect();
        let object = format!("{{{}}}", object.join(","));
        let (content_type, body) = match mode {
            0 => ("application/cloudevents+json", object.into_bytes()),
            1 => ("text/plain", body),
            _ => ("application/json", b"{}".to_vec()),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &members {
            let name: HeaderName = format!("ce-{name}").parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let form = event::from_body(Some(content_type.as_bytes()), body.clone().into()).unwrap().form;
        let content_type = Some(HeaderValue::from_static(content_type));
        let content = Content { form, content_type, headers, body: body.into() };
        let (app, props) = (app(Envelope::CloudEvent), Bytes::from_static(b"{}"));
        let subject = Subject { app: &app, webhook: WEBHOOK, name: "x", action: "a", props: &props };
        let outgoing = OutgoingEvent::new(ids::from_parts(ACCEPTED_MS << 20, 0), content);
        let enveloped = wrap(subject, outgoing, || ApiField::new("", "")).unwrap();
        let text = enveloped.body.to_bytes();
        let value: Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(&value["webhookprops"], "{}");
        prop_assert_eq!(&value["specversion"], "1.0");
        for name in ["id", "source", "type"] {
            prop_assert!(value[name].as_str().is_some_and(|text| !text.is_empty()));
        }
        let is_last = text.ends_with(br#","webhookprops":"{}"}"#);
        prop_assert!(is_last);
    }
}
