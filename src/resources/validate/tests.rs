use serde_json::{Value, json};

use super::*;

fn app(listener: Value) -> Value {
    json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "WebhookApp",
        "metadata": {"name": "shop", "namespace": "team-a"},
        "spec": {"listener": listener},
    })
}

fn webhook(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "Webhook",
        "metadata": {"name": "payments", "namespace": "team-a"},
        "spec": {"app": "shop", "action": "pay"},
    });
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    object
}

/// An app with a good listener and more fields of its spec.
fn app_with(spec: Value) -> Value {
    let mut object = app(json!({"service": {"name": "shop", "port": 8080}}));
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    object
}

fn service(field: &str, value: Value) -> Value {
    let mut object = app(json!({"service": {"name": "shop", "port": 8080}}));
    object["spec"]["listener"]["service"][field] = value;
    object
}

fn url(url: &str) -> Value {
    app(json!({"url": url}))
}

fn timeout(timeout: &str) -> Value {
    app(json!({"url": "http://a", "timeout": timeout}))
}

fn forward(names: &[&str]) -> Value {
    webhook(json!({"forwardHeaders": names}))
}

fn rate(limit: Value) -> Value {
    webhook(json!({"rateLimit": limit}))
}

fn ranges(ranges: &[&str]) -> Value {
    webhook(json!({"sourceRanges": ranges}))
}

fn admit(object: &mut Value, before: Option<&Value>) -> Result<(), String> {
    let validator = match object["kind"].as_str() {
        Some("WebhookApp") => Validator::webhook_app(),
        _ => Validator::webhook(),
    };
    validator.admit(object, before).map_err(|invalid| invalid.to_string())
}

const UUID: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";

fn delivery(delivery: Value) -> Value {
    webhook(json!({"delivery": delivery}))
}

/// Of a queued webhook.
fn retry(retry: Value) -> Value {
    delivery(json!({"mode": "Queued", "retry": retry}))
}

/// Of a queued webhook.
fn dedup(dedup: Value) -> Value {
    webhook(json!({"delivery": {"mode": "Queued"}, "dedup": dedup}))
}

#[test]
fn good_objects_pass() {
    let good = [
        app(json!({"service": {"name": "shop", "port": 8080}})),
        app(
            json!({"service": {"name": "shop", "port": "http", "path": "/x?y=z", "scheme": "https"}}),
        ),
        app(
            json!({"service": {"name": "shop", "port": 8080}, "url": null, "envelope": "Listener"}),
        ),
        url("https://example.com/hooks?x=y"),
        url("http://localhost:3000"),
        url("http://127.0.0.1:3000/"),
        url("http://[::1]:3000/"),
        url("HTTP://EXAMPLE.COM"),
        timeout("100ms"),
        timeout("300s"),
        timeout("1m30s"),
        timeout("1.5s"),
        app_with(json!({"uuid": UUID, "environmentId": 0, "serviceAccounts": ["shop", "a.b"]})),
        app_with(json!({"uuid": null, "environmentId": null})),
        service("port", json!(1)),
        service("port", json!(65535)),
        service("port", json!("a")),
        service("port", json!("1-2a-b3")),
        webhook(json!({})),
        webhook(json!({"props": null, "userId": null, "uuid": null, "delivery": null})),
        webhook(
            json!({"props": {"a": {"b": [1, null, {"c": 1.5}]}}, "userId": -5, "suspend": true}),
        ),
        webhook(json!({"props": {}, "delivery": {"mode": "Sync"}})),
        webhook(json!({"action": "é".repeat(255)})),
        webhook(json!({"maxBodyBytes": 1})),
        webhook(json!({"maxBodyBytes": 33_554_432})),
        forward(&["X-GitHub-Event", "x_y", "X-Webhook-Id", "Webhooks", "X-Shop-*"]),
        webhook(json!({"response": {"status": 200}})),
        webhook(json!({"response": {"body": ""}})),
        webhook(json!({"response": {"status": 204, "body": ""}})),
        webhook(
            json!({"response": {"contentType": "text/xml; charset=utf-8", "body": "<Response/>"}}),
        ),
        webhook(json!({"response": {"from": "Listener"}, "delivery": {"mode": "Sync"}})),
        webhook(json!({"probes": ["HEAD", "GET"], "forwardQuery": true})),
        forward(&[]),
        webhook(json!({"sourceRanges": ["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0"]})),
        webhook(json!({"sourceRanges": []})),
        webhook(json!({"filter": "é".repeat(4096)})),
        webhook(json!({"filter": null})),
        webhook(json!({"rateLimit": {"requestsPerSecond": 1, "burst": 1_000_000}})),
        webhook(json!({"rateLimit": {"requestsPerSecond": 50, "burst": null}})),
        webhook(json!({"rateLimit": null})),
        delivery(json!({"mode": "Queued", "ordering": "Fifo", "retry": null})),
        delivery(json!({"mode": "Sync", "ordering": "Parallel", "retry": null})),
        retry(json!({})),
        retry(json!({"maxAttempts": 100, "jitter": 1, "maxAge": "720h"})),
        retry(json!({"schedule": ["100ms", "1h30m", "0.5h", "720h"], "jitter": 0, "maxAge": "1s"})),
        retry(json!({"schedule": vec!["1s"; 32], "maxAttempts": 1})),
        retry(json!({"initialInterval": "1h", "multiplier": 1})),
        retry(json!({"maxInterval": "5s", "multiplier": 1.5})),
        retry(json!({"initialInterval": "2h", "maxInterval": "2h", "schedule": null})),
        dedup(json!({"header": "X-Id"})),
        dedup(json!({"header": "X-Id", "key": null, "window": "1s"})),
        dedup(json!({"key": "event.id", "window": "720h"})),
        dedup(json!({"enabled": false})),
        dedup(json!({"enabled": true, "key": "event.id"})),
        webhook(json!({"dedup": {"header": "X-Id"}, "delivery": null})),
        webhook(json!({"dedup": null, "delivery": {"mode": "Sync"}})),
        app_with(json!({"delivery": {}})),
        app_with(json!({"delivery": null})),
        app_with(json!({"delivery": {"concurrency": 1, "retry": {"schedule": ["1s"]}}})),
        app_with(json!({"delivery": {"concurrency": 256, "retry": null}})),
    ];
    for mut object in good {
        let shown = object.to_string();
        assert_eq!(admit(&mut object, None), Ok(()), "{shown}");
    }
}

#[test]
fn each_rule_refuses_its_case_and_says_which_field_is_at_fault() {
    let passed_on = "spec.forwardHeaders[0]: Invalid value: is never forwarded";
    let timeout_rule = "spec.listener.timeout: Invalid value: must be from 100ms to 300s";
    let url_rule = "spec.listener.url: Invalid value: must be an absolute http or https URL";
    let port = |fault: &str| format!("spec.listener.service.port: Invalid value: {fault}");
    let one_of = "spec.listener: Invalid value: exactly one of service and url must be set";
    let uuid_rule = "spec.uuid: Invalid value: must match";
    let exclude = "spec.delivery.retry: Invalid value: schedule and initialInterval, multiplier, maxInterval exclude each other";
    let longer = "spec.delivery.retry: Invalid value: initialInterval (5s by default) must not be longer than maxInterval (1h by default)";
    let one_key = "spec.dedup: Invalid value: exactly one of header and key must be set";
    let cases = [
        (app(json!({})), one_of),
        (app(json!({"service": {"name": "shop", "port": 1}, "url": "http://a"})), one_of),
        (app(json!({"service": null, "url": null})), one_of),
        (url(""), "spec.listener.url: Invalid value: must be at least 1 character"),
        (url("/path"), url_rule),
        (url("example.com"), url_rule),
        (url("ftp://example.com"), url_rule),
        (url("http://"), url_rule),
        (url("http:///path"), url_rule),
        (url("http://:8080"), url_rule),
        (url("mailto:a@example.com"), url_rule),
        (url(&format!("http://{}", "a".repeat(2048))), "must be at most 2048 characters"),
        (timeout("99ms"), timeout_rule),
        (timeout("301s"), timeout_rule),
        (timeout("5m1s"), timeout_rule),
        (timeout("9999999999999m"), "spec.listener.timeout: Invalid value: "),
        (timeout("10"), "spec.listener.timeout: Invalid value: must match"),
        (timeout("-1s"), "spec.listener.timeout: Invalid value: must match"),
        (timeout("1h"), "spec.listener.timeout: Invalid value: must match"),
        (service("port", json!(0)), &port("must be at least 1")),
        (service("port", json!(65536)), &port("must be at most 65535")),
        (service("port", json!("HTTP")), &port("must match")),
        (service("port", json!("8080")), &port("must match")),
        (service("port", json!("a--b")), &port("must match")),
        (service("port", json!("a-")), &port("must match")),
        (service("port", json!("a-name-that-is-too-long")), &port("must be at most 15")),
        (service("port", json!(true)), &port("must be of type integer or string")),
        (service("port", json!(1.5)), &port("must be of type integer or string")),
        (service("port", json!(null)), "spec.listener.service.port: Required value"),
        (service("name", json!("Shop")), "spec.listener.service.name: Invalid value: must match"),
        (service("name", json!("1shop")), "spec.listener.service.name: Invalid value: must match"),
        (service("path", json!("x")), "spec.listener.service.path: Invalid value: must match"),
        (service("path", json!("/a b")), "spec.listener.service.path: Invalid value: must match"),
        (
            service("scheme", json!("ftp")),
            r#"spec.listener.service.scheme: Unsupported value: supported values: ["http","https"]"#,
        ),
        (service("weight", json!(1)), r#"unknown field "spec.listener.service.weight""#),
        (app(json!({"url": "http://a", "envelop": 1})), r#"unknown field "spec.listener.envelop""#),
        (
            app(json!({"url": "http://a", "envelope": "Soap"})),
            "spec.listener.envelope: Unsupported value",
        ),
        (
            app_with(json!({"environmentId": -1})),
            "spec.environmentId: Invalid value: must be at least 0",
        ),
        (
            app_with(json!({"environmentId": "1"})),
            "spec.environmentId: Invalid value: must be of type integer",
        ),
        (app_with(json!({"uuid": UUID.to_uppercase()})), uuid_rule),
        (app_with(json!({"uuid": "x"})), uuid_rule),
        (app_with(json!({"serviceAccounts": ["a", "a"]})), "spec.serviceAccounts: Duplicate value"),
        (app_with(json!({"serviceAccounts": ["A"]})), "spec.serviceAccounts[0]: Invalid value"),
        (app_with(json!({"listener": null})), "spec.listener: Required value"),
        (webhook(json!({"app": null})), "spec.app: Required value"),
        (webhook(json!({"app": ""})), "spec.app: Invalid value: must be at least 1 character"),
        (webhook(json!({"app": "a/b"})), "spec.app: Invalid value: must match"),
        (
            webhook(json!({"action": ""})),
            "spec.action: Invalid value: must be at least 1 character",
        ),
        (
            webhook(json!({"action": "é".repeat(256)})),
            "spec.action: Invalid value: must be at most 255 characters",
        ),
        (webhook(json!({"props": []})), "spec.props: Invalid value: must be of type"),
        (webhook(json!({"props": "x"})), "spec.props: Invalid value: must be of type"),
        (webhook(json!({"uuid": UUID.to_uppercase()})), uuid_rule),
        (
            webhook(json!({"uuid": format!("{UUID}0")})),
            "spec.uuid: Invalid value: must be at most 36 characters",
        ),
        (webhook(json!({"userId": "1"})), "spec.userId: Invalid value: must be of type"),
        (webhook(json!({"userId": 1.5})), "spec.userId: Invalid value: must be of type"),
        (
            webhook(json!({"suspend": "yes"})),
            "spec.suspend: Invalid value: must be of type boolean",
        ),
        (
            webhook(json!({"maxBodyBytes": 0})),
            "spec.maxBodyBytes: Invalid value: must be at least 1",
        ),
        (
            webhook(json!({"maxBodyBytes": 33_554_433})),
            "spec.maxBodyBytes: Invalid value: must be at most 33554432",
        ),
        (forward(&["Authorization"]), passed_on),
        (forward(&["connection"]), passed_on),
        (forward(&["Webhook-Uuid"]), passed_on),
        (forward(&["PROXY-Whatever"]), passed_on),
        (forward(&["traceparent"]), passed_on),
        (forward(&["X-A", "Cookie"]), "spec.forwardHeaders[1]: Invalid value: is never forwarded"),
        (forward(&["X Y"]), "spec.forwardHeaders[0]: Invalid value: must match"),
        (forward(&["X-*-Id"]), "spec.forwardHeaders[0]: Invalid value: must match"),
        (forward(&["*"]), "spec.forwardHeaders[0]: Invalid value: must match"),
        (
            webhook(json!({"response": {}})),
            "spec.response: Invalid value: either from or at least one of status and body",
        ),
        (
            webhook(json!({"response": {"from": "Listener"}})),
            "spec: Invalid value: response.from needs delivery.mode Sync",
        ),
        (
            webhook(json!({"response": {"status": 204, "body": "x"}})),
            "spec.response: Invalid value: a response with status 204 or 205 has no body",
        ),
        (webhook(json!({"response": {"status": 300}})), "spec.response.status: Invalid value"),
        (webhook(json!({"probes": ["PUT"]})), "spec.probes[0]: "),
        (forward(&["X-A", "X-A"]), "spec.forwardHeaders: Duplicate value"),
        (ranges(&["192.0.2.1"]), "spec.sourceRanges[0]: Invalid value: must be a network in CIDR"),
        (ranges(&["192.0.2.0/33"]), "spec.sourceRanges[0]: Invalid value: must be a network"),
        (ranges(&["::/0", "a/8"]), "spec.sourceRanges[1]: Invalid value: must be a network"),
        (ranges(&[""]), "spec.sourceRanges[0]: Invalid value: must be at least 1 character"),
        (ranges(&["::/0", "::/0"]), "spec.sourceRanges: Duplicate value"),
        (
            webhook(json!({"filter": ""})),
            "spec.filter: Invalid value: must be at least 1 character",
        ),
        (
            webhook(json!({"filter": "é".repeat(4097)})),
            "spec.filter: Invalid value: must be at most 4096 characters",
        ),
        (webhook(json!({"filter": true})), "spec.filter: Invalid value: must be of type string"),
        (rate(json!({})), "spec.rateLimit.requestsPerSecond: Required value"),
        (
            rate(json!({"requestsPerSecond": 0})),
            "spec.rateLimit.requestsPerSecond: Invalid value: must be at least 1",
        ),
        (
            rate(json!({"requestsPerSecond": 0.5})),
            "spec.rateLimit.requestsPerSecond: Invalid value: must be of type integer",
        ),
        (
            rate(json!({"requestsPerSecond": 1, "burst": 1_000_001})),
            "spec.rateLimit.burst: Invalid value: must be at most 1000000",
        ),
        (delivery(json!({"ordering": "Random"})), "spec.delivery.ordering: Unsupported value"),
        (delivery(json!({"mode": "Sync", "ordering": "Fifo"})), "ordering Fifo needs mode Queued"),
        (delivery(json!({"mode": "Sync", "retry": {}})), "retry needs mode Queued"),
        (retry(json!({"maxAttempts": 0})), "spec.delivery.retry.maxAttempts: Invalid value"),
        (retry(json!({"maxAttempts": 101})), "maxAttempts: Invalid value: must be at most 100"),
        (retry(json!({"schedule": []})), "schedule: Invalid value: must have at least 1 item"),
        (retry(json!({"schedule": vec!["1s"; 33]})), "must have at most 32 items"),
        (retry(json!({"schedule": ["1s", "99ms"]})), "schedule[1]: Invalid value: must be from"),
        (retry(json!({"schedule": ["721h"]})), "schedule[0]: Invalid value: must be from 100ms"),
        (retry(json!({"schedule": ["1d"]})), "schedule[0]: Invalid value: must match"),
        (retry(json!({"schedule": ["5s"], "initialInterval": "1s"})), exclude),
        (retry(json!({"schedule": ["5s"], "multiplier": 2})), exclude),
        (retry(json!({"schedule": ["5s"], "maxInterval": "1h"})), exclude),
        (retry(json!({"initialInterval": "61m"})), longer),
        (retry(json!({"maxInterval": "4s"})), longer),
        (retry(json!({"initialInterval": "0s"})), "retry.initialInterval: Invalid value: must be"),
        (retry(json!({"maxInterval": "721h"})), "retry.maxInterval: Invalid value: must be from"),
        (retry(json!({"multiplier": 0.9})), "multiplier: Invalid value: must be at least 1"),
        (retry(json!({"multiplier": 100.5})), "multiplier: Invalid value: must be at most 100"),
        (retry(json!({"jitter": -0.1})), "jitter: Invalid value: must be at least 0"),
        (retry(json!({"jitter": 1.1})), "jitter: Invalid value: must be at most 1"),
        (retry(json!({"jitter": "0.1"})), "jitter: Invalid value: must be of type number"),
        (retry(json!({"maxAge": "0s"})), "maxAge: Invalid value: must be from 1s to 720h"),
        (retry(json!({"maxAge": "721h"})), "maxAge: Invalid value: must be from 1s to 720h"),
        (dedup(json!({})), one_key),
        (dedup(json!({"enabled": true})), one_key),
        (dedup(json!({"enabled": false, "header": "X-Id"})), "header and key need enabled: true"),
        (dedup(json!({"header": "X-Id", "key": "event.id"})), one_key),
        (dedup(json!({"header": "X Id"})), "spec.dedup.header: Invalid value: must match"),
        (dedup(json!({"key": ""})), "spec.dedup.key: Invalid value: must be at least 1 character"),
        (dedup(json!({"key": "é".repeat(4097)})), "must be at most 4096 characters"),
        (dedup(json!({"key": "a", "window": "0.5s"})), "window: Invalid value: must be from 1s"),
        (dedup(json!({"key": "a", "window": "721h"})), "window: Invalid value: must be from 1s"),
        (
            webhook(json!({"dedup": {"key": "event.id"}, "delivery": {"mode": "Sync"}})),
            "spec: Invalid value: dedup needs delivery.mode Queued",
        ),
        (
            app_with(json!({"delivery": {"concurrency": 0}})),
            "spec.delivery.concurrency: Invalid value: must be at least 1",
        ),
        (
            app_with(json!({"delivery": {"concurrency": 257}})),
            "spec.delivery.concurrency: Invalid value: must be at most 256",
        ),
        (app_with(json!({"delivery": {"retry": {"schedule": ["5s"], "multiplier": 2}}})), exclude),
        (
            app_with(json!({"delivery": {"mode": "Queued"}})),
            r#"unknown field "spec.delivery.mode""#,
        ),
        (webhook(json!({"delivery": {"mode": "Later"}})), "spec.delivery.mode: Unsupported value"),
        (webhook(json!({"delivery": {"speed": 1}})), r#"unknown field "spec.delivery.speed""#),
        (webhook(json!({"colour": "red"})), r#"unknown field "spec.colour""#),
    ];
    for (mut object, fault) in cases {
        let shown = object.to_string();
        let refused = admit(&mut object, None).expect_err(&shown);
        assert!(refused.contains(fault), "{shown}\n  is refused with: {refused}");
    }
}

#[test]
fn fields_beside_the_spec_are_checked_too() {
    let with = |pointer: &str, value: Value| {
        let mut object = webhook(json!({}));
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[name] = value;
        object
    };
    let cases = [
        (with("/colour", json!(1)), r#"unknown field "colour""#),
        (with("/metadata/labls", json!({})), r#"unknown field "metadata.labls""#),
        (with("/metadata/labels", json!({"a": 1})), "metadata.labels.a: Invalid value"),
        (with("/metadata/labels", json!([])), "metadata.labels: Invalid value"),
        (with("/spec", json!("x")), "spec: Invalid value: must be of type object"),
        (with("/spec", json!(null)), "spec: Required value"),
        (with("/apiVersion", json!("lenra.io/v1")), "apiVersion: Unsupported value"),
    ];
    for (mut object, fault) in cases {
        let refused = admit(&mut object, None).unwrap_err();
        assert!(refused.contains(fault), "{refused}");
    }
    for mut good in [
        with("/metadata/creationTimestamp", json!(null)),
        with("/metadata/labels", json!({"a": "b"})),
        with(
            "/metadata/ownerReferences",
            json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}]),
        ),
    ] {
        assert_eq!(admit(&mut good, None), Ok(()));
    }
}

#[test]
fn several_faults_are_told_together() {
    let mut object = webhook(json!({"action": "", "colour": 1}));
    assert_eq!(
        admit(&mut object, None).unwrap_err(),
        "spec.action: Invalid value: must be at least 1 character; unknown field \"spec.colour\""
    );
}

#[test]
fn what_is_immutable_cannot_be_changed_added_or_removed() {
    let other = "c14990db-96a1-44c6-b13a-8ab12db96f61";
    let cases = [
        (webhook(json!({"uuid": UUID})), webhook(json!({"uuid": other})), "uuid is immutable"),
        (webhook(json!({"uuid": UUID})), webhook(json!({})), "uuid is immutable"),
        (webhook(json!({})), webhook(json!({"uuid": UUID})), "uuid is immutable"),
        (webhook(json!({})), webhook(json!({"app": "other"})), "app is immutable"),
        (app_with(json!({"uuid": UUID})), app_with(json!({"uuid": other})), "uuid is immutable"),
        (app_with(json!({"uuid": UUID})), app_with(json!({})), "uuid is immutable"),
        (app_with(json!({})), app_with(json!({"uuid": UUID})), "uuid is immutable"),
    ];
    for (mut before, mut after, fault) in cases {
        assert_eq!(admit(&mut before, None), Ok(()));
        let refused = admit(&mut after.clone(), Some(&before)).unwrap_err();
        assert!(
            refused.starts_with("spec: Invalid value: ") && refused.contains(fault),
            "{refused}"
        );
        assert_eq!(admit(&mut after, None), Ok(()), "it would do as a new object");
    }
}

#[test]
fn what_is_not_immutable_can_be_changed() {
    let mut before = webhook(json!({"uuid": UUID, "action": "a"}));
    admit(&mut before, None).unwrap();
    let mut after = webhook(json!({"uuid": UUID, "action": "b", "props": {"a": 1}}));
    assert_eq!(admit(&mut after, Some(&before)), Ok(()));
    let mut null = webhook(json!({"uuid": null}));
    admit(&mut null, None).unwrap();
    assert_eq!(admit(&mut webhook(json!({})), Some(&null)), Ok(()), "null is as good as absent");
}

#[test]
fn defaults_are_set_and_nulls_that_mean_nothing_are_dropped() {
    let mut object =
        app(json!({"service": {"name": "shop", "port": 1}, "url": null, "timeout": null}));
    admit(&mut object, None).unwrap();
    let listener = json!({
        "service": {"name": "shop", "port": 1, "path": "/", "scheme": "http"},
        "envelope": "Action",
        "timeout": "10s",
    });
    assert_eq!(object["spec"], json!({"listener": listener, "environmentId": 1}));
    let mut object = webhook(json!({"props": null, "userId": null, "uuid": null}));
    admit(&mut object, None).unwrap();
    let spec = json!({
        "app": "shop", "action": "pay", "props": null, "userId": null,
        "suspend": false,
    });
    assert_eq!(object["spec"], spec);
}

#[test]
fn every_rule_of_the_definitions_compiles_and_can_be_evaluated() {
    fn compiled(schema: &cel::CompiledSchema) -> usize {
        assert!(!schema.has_errors(), "{:?}", schema.compilation_errors());
        let branches = schema.properties.values().chain(schema.items.as_deref());
        schema.validations.len() + branches.map(compiled).sum::<usize>()
    }
    let rules = |validator: &Validator| compiled(&validator.rules);
    assert_eq!(rules(&Validator::webhook_app()), 10);
    assert_eq!(rules(&Validator::webhook()), 52);
}

#[test]
fn names_are_told_from_what_would_lead_out_of_a_directory() {
    for good in ["a", "a-b", "a.b", "0a", &"a".repeat(253)] {
        assert!(is_subdomain(good), "{good}");
    }
    for bad in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a..b",
        "-a",
        "a-",
        "a.",
        ".a",
        "A",
        "a_b",
        "é",
        &"a".repeat(254),
    ] {
        assert!(!is_subdomain(bad), "{bad}");
        assert!(!is_label(bad), "{bad}");
    }
    assert!(is_label(&"a".repeat(63)));
    assert!(!is_label(&"a".repeat(64)));
    assert!(!is_label("a.b"));
}

#[test]
fn a_validator_serves_many_threads() {
    fn check<T: Send + Sync>() {}
    check::<Validator>();
}
