//! What the API server refuses by itself: every bound and every CEL rule of the CRDs has a case.

use serde_json::{Value, json};

use crate::fixture::{Site, app, app_of_service, webhook, with};

const UUID: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";
const OTHER_UUID: &str = "24361375-54d4-4ddb-8d2d-0dd212e13cd1";

/// Where, what, and what the API server says to it.
type Case = (&'static str, Value, &'static str);

fn long(length: usize) -> Value {
    json!("a".repeat(length))
}

fn refuses(base: &Value, cases: &[Case]) {
    let site = Site::new();
    // The base is right, or each case would be refused for another reason than its own.
    site.apply(base);
    for (path, value, message) in cases {
        let mut manifest = with(base.clone(), path, value.clone());
        manifest["metadata"]["name"] = json!("refused");
        let said = site.apply_refused(&manifest);
        assert!(said.contains(message), "{path} = {value}:\n{said}");
    }
}

fn refuses_updates(cases: &[(Value, Value, &str)]) {
    let site = Site::new();
    for (before, after, message) in cases {
        site.apply(before);
        let said = site.apply_refused(after);
        assert!(said.contains(message), "{before} -> {after}:\n{said}");
    }
}

#[test]
fn the_definitions_are_established_with_their_names() {
    let site = Site::new();
    for (name, kind) in [("whapp", "WebhookApp"), ("wh", "Webhook")] {
        let resources = site.cluster.kubectl(&["api-resources", "--api-group=lenra.io"]).stdout;
        let line = resources.lines().find(|line| line.ends_with(&format!(" {kind}")));
        assert!(line.is_some_and(|line| line.contains(&format!(" {name} "))), "{resources}");
    }
    assert!(site.cluster.kubectl(&["get", "lenra", "-A"]).ok, "the category");
    for name in ["webhookapps.lenra.io", "webhooks.lenra.io"] {
        let path = "jsonpath={.status.conditions[?(@.type==\"NonStructuralSchema\")].status}";
        assert_ne!(site.kubectl(&["get", "crd", name, "-o", path]), "True");
    }
}

#[test]
fn an_app_with_a_wrong_field_is_refused_with_the_reason() {
    let must_match = "should match";
    refuses(
        &app("right"),
        &[
            ("/spec", json!({}), "spec.listener: Required value"),
            ("/spec/uuid", json!("14361375-54D4-4ddb-8d2d-0dd212e13cd1"), must_match),
            ("/spec/uuid", json!(format!("{UUID}0")), "may not be more than 36"),
            ("/spec/environmentId", json!(-1), "should be greater than or equal to 0"),
            ("/spec/environmentId", json!("1"), "must be of type integer"),
            ("/spec/listener", json!({}), "exactly one of service and url must be set"),
            (
                "/spec/listener/service",
                json!({"name": "both", "port": 80}),
                "exactly one of service and url must be set",
            ),
            ("/spec/listener/url", json!(""), "should be at least 1 chars long"),
            ("/spec/listener/url", json!("/relative"), "must be an absolute http or https URL"),
            ("/spec/listener/url", json!("not a url"), "must be an absolute http or https URL"),
            (
                "/spec/listener/url",
                json!("ftp://a.example/"),
                "must be an absolute http or https URL",
            ),
            ("/spec/listener/url", json!("http://"), "must be an absolute http or https URL"),
            (
                "/spec/listener/url",
                json!(format!("http://a.example/{}", "a".repeat(2048))),
                "may not be more than 2048",
            ),
            (
                "/spec/listener/envelope",
                json!("Parcel"),
                "supported values: \"Action\", \"Listener\"",
            ),
            ("/spec/listener/timeout", json!("99ms"), "must be from 100ms to 300s"),
            ("/spec/listener/timeout", json!("301s"), "must be from 100ms to 300s"),
            ("/spec/listener/timeout", json!("1h"), must_match),
            ("/spec/listener/timeout", json!("1"), "should be at least 2 chars long"),
            ("/spec/listener/timeout", json!("1s1s1s1s1s1s1s1s1s"), "may not be more than 16"),
            ("/spec/serviceAccounts", json!(["twice", "twice"]), "Duplicate value"),
            ("/spec/serviceAccounts", json!([""]), "should be at least 1 chars long"),
            ("/spec/serviceAccounts", json!(["No"]), must_match),
            ("/spec/serviceAccounts", json!([long(254)]), "may not be more than 253"),
            (
                "/spec/serviceAccounts",
                (0..65).map(|i| format!("a{i}")).collect(),
                "must have at most 64 items",
            ),
            ("/spec/unheardOf", json!(1), "unknown field \"spec.unheardOf\""),
        ],
    );
}

#[test]
fn a_listener_service_with_a_wrong_field_is_refused_with_the_reason() {
    refuses(
        &app_of_service("right", "svc", json!(80)),
        &[
            ("/spec/listener/service", json!({"port": 80}), "service.name: Required value"),
            ("/spec/listener/service", json!({"name": "svc"}), "service.port: Required value"),
            ("/spec/listener/service/name", json!(""), "should be at least 1 chars long"),
            ("/spec/listener/service/name", json!("1st"), "should match"),
            ("/spec/listener/service/name", long(64), "may not be more than 63"),
            ("/spec/listener/service/port", json!(0), "should be greater than or equal to 1"),
            ("/spec/listener/service/port", json!(65536), "should be less than or equal to 65535"),
            ("/spec/listener/service/port", json!("Web"), "should match"),
            ("/spec/listener/service/port", json!("80"), "should match"),
            ("/spec/listener/service/port", json!("two--hyphens"), "should match"),
            ("/spec/listener/service/port", json!("sixteen-letters-"), "may not be more than 15"),
            ("/spec/listener/service/port", json!(true), "must be of type"),
            ("/spec/listener/service/path", json!(""), "should be at least 1 chars long"),
            ("/spec/listener/service/path", json!("no-slash"), "should match"),
            ("/spec/listener/service/path", json!("/a b"), "should match"),
            (
                "/spec/listener/service/path",
                json!(format!("/{}", "a".repeat(1024))),
                "may not be more than 1024",
            ),
            (
                "/spec/listener/service/scheme",
                json!("ftp"),
                "supported values: \"http\", \"https\"",
            ),
        ],
    );
}

/// One entry of `spec.verify` with a secret, and with these fields besides.
fn entry(type_: &str, fields: Value) -> Value {
    let mut entry = json!({"type": type_, "secretRefs": [{"name": "secret", "key": "key"}]});
    entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!([entry])
}

/// One that describes a signature.
fn hmac(fields: Value) -> Value {
    let mut hmac = json!({"header": "X-Signature"});
    hmac.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    entry("Hmac", json!({"hmac": hmac}))
}

#[test]
fn a_webhook_with_a_wrong_field_is_refused_with_the_reason() {
    refuses(
        &webhook("right", "shop"),
        &[
            ("/spec", json!({"action": "pay"}), "spec.app: Required value"),
            ("/spec", json!({"app": "shop"}), "spec.action: Required value"),
            ("/spec/app", json!(""), "should be at least 1 chars long"),
            ("/spec/app", json!("Shop"), "should match"),
            ("/spec/app", long(254), "may not be more than 253"),
            ("/spec/action", json!(""), "should be at least 1 chars long"),
            ("/spec/action", long(256), "may not be more than 255"),
            ("/spec/props", json!("text"), "must be of type object"),
            ("/spec/uuid", json!("no-uuid"), "should match"),
            ("/spec/uuid", json!(format!("{UUID}0")), "may not be more than 36"),
            ("/spec/userId", json!("1"), "must be of type integer"),
            ("/spec/suspend", json!("yes"), "must be of type boolean"),
            ("/spec/maxBodyBytes", json!(0), "should be greater than or equal to 1"),
            ("/spec/maxBodyBytes", json!(33_554_433), "should be less than or equal to 33554432"),
            ("/spec/forwardHeaders", json!(["X-A", "X-A"]), "Duplicate value"),
            ("/spec/forwardHeaders", json!([""]), "should be at least 1 chars long"),
            ("/spec/forwardHeaders", json!(["X A"]), "should match"),
            ("/spec/forwardHeaders", json!(["X-*-Id"]), "should match"),
            ("/spec/forwardHeaders", json!(["*"]), "should match"),
            ("/spec/response", json!({}), "either from or at least one of status and body"),
            ("/spec/response", json!({"from": "Listener"}), "needs delivery.mode Sync"),
            ("/spec/response", json!({"from": "Sender"}), "Unsupported value"),
            ("/spec/response", json!({"status": 404}), "should be less than or equal to 299"),
            ("/spec/response", json!({"status": 204, "body": "x"}), "has no body"),
            ("/spec/response", json!({"status": 200, "contentType": "a/b"}), "needs body"),
            ("/spec/response", json!({"body": "", "contentType": "a\nb"}), "should match"),
            ("/spec/probes", json!(["POST"]), "Unsupported value"),
            ("/spec/probes", json!(["GET", "GET"]), "Duplicate value"),
            ("/spec/forwardHeaders", json!([long(129)]), "may not be more than 128"),
            (
                "/spec/forwardHeaders",
                (0..65).map(|i| format!("X-{i}")).collect(),
                "must have at most 64 items",
            ),
            ("/spec/sourceRanges", json!(["192.0.2.1"]), "must be a network in CIDR notation"),
            ("/spec/sourceRanges", json!(["192.0.2.0/33"]), "must be a network in CIDR notation"),
            ("/spec/sourceRanges", json!(["everywhere"]), "must be a network in CIDR notation"),
            ("/spec/sourceRanges", json!([""]), "should be at least 1 chars long"),
            ("/spec/sourceRanges", json!([long(50)]), "may not be more than 49"),
            ("/spec/sourceRanges", json!(["::/0", "::/0"]), "Duplicate value"),
            (
                "/spec/sourceRanges",
                (0..257).map(|i| format!("192.0.{}.{}/32", i / 256, i % 256)).collect(),
                "must have at most 256 items",
            ),
            ("/spec/cloudEventsOrigins", json!(["two words"]), "should match"),
            ("/spec/verify", json!([{"type": "Github"}]), "Unsupported value"),
            ("/spec/verify", json!([{"type": "GitHub"}]), "secretRefs must name a secret"),
            ("/spec/verify", entry("Jwt", json!({})), "jwt must be set with type Jwt"),
            ("/spec/verify", entry("Hmac", json!({})), "hmac must be set with type Hmac"),
            (
                "/spec/verify",
                entry("GitHub", json!({"hmac": {"header": "X-A"}})),
                "hmac must be set",
            ),
            ("/spec/verify", entry("ApiKey", json!({})), "apiKey must be set with type ApiKey"),
            (
                "/spec/verify",
                entry("GitHub", json!({"verifyToken": {"name": "a", "key": "b"}})),
                "verifyToken can be set with type Meta only",
            ),
            (
                "/spec/verify",
                entry("Gitea", json!({"allowSha1": true})),
                "allowSha1 can be set with type GitHub only",
            ),
            ("/spec/verify", entry("Hmac", json!({"hmac": {"header": "X A"}})), "should match"),
            (
                "/spec/verify",
                hmac(json!({"signed": "{timestamp}.{body}"})),
                "timestampHeader must be set",
            ),
            (
                "/spec/verify",
                hmac(json!({"timestampHeader": "X-T"})),
                "timestampHeader must be set",
            ),
            ("/spec/verify", hmac(json!({"signed": "{id}.{body}"})), "idHeader must be set"),
            ("/spec/verify", hmac(json!({"signed": "a fixed text"})), "must contain {body}"),
            ("/spec/verify", hmac(json!({"tolerance": "25h"})), "must be from 1s to 24h"),
            ("/spec/verify", hmac(json!({"algorithm": "md5"})), "Unsupported value"),
            (
                "/spec/verify",
                json!([{"type": "Jwt", "jwt": {"issuer": "i", "audiences": ["a"], "jwksUrl": "http://a/"}}]),
                "must be an absolute https URL",
            ),
            (
                "/spec/verify",
                json!([{"type": "Jwt", "jwt": {"issuer": "i", "audiences": [], "jwksUrl": "https://a/"}}]),
                "should have at least 1 items",
            ),
            ("/spec/filter", json!(""), "should be at least 1 chars long"),
            ("/spec/filter", long(4097), "may not be more than 4096"),
            ("/spec/rateLimit", json!({"burst": 1}), "requestsPerSecond: Required value"),
            (
                "/spec/rateLimit",
                json!({"requestsPerSecond": 0}),
                "should be greater than or equal to 1",
            ),
            (
                "/spec/rateLimit",
                json!({"requestsPerSecond": 1_000_001}),
                "should be less than or equal to 1000000",
            ),
            (
                "/spec/rateLimit",
                json!({"requestsPerSecond": 1, "burst": 0}),
                "should be greater than or equal to 1",
            ),
            (
                "/spec/rateLimit",
                json!({"requestsPerSecond": 1, "burst": 1_000_001}),
                "should be less than or equal to 1000000",
            ),
            ("/spec/rateLimit", json!({"requestsPerSecond": 0.5}), "must be of type integer"),
            ("/spec/delivery", json!({"mode": "Pigeon"}), "supported values: \"Queued\""),
        ],
    );
}

const EXCLUDE: &str = "schedule and initialInterval, multiplier, maxInterval exclude each other";

#[test]
fn a_webhook_whose_queue_has_a_wrong_field_is_refused_with_the_reason() {
    let longer = "initialInterval (5s by default) must not be longer than maxInterval (1h by";
    let wait = "must be from 100ms to 720h";
    let age = "must be from 1s to 720h";
    let one_key = "exactly one of header and key must be set";
    let mut right = webhook("right", "shop");
    right["spec"]["delivery"] = json!({"mode": "Queued", "ordering": "Fifo", "retry": {}});
    right["spec"]["dedup"] = json!({"header": "X-Id"});
    refuses(
        &right,
        &[
            (
                "/spec/delivery/ordering",
                json!("Random"),
                "supported values: \"Parallel\", \"Fifo\"",
            ),
            (
                "/spec/delivery",
                json!({"mode": "Sync", "ordering": "Fifo"}),
                "ordering Fifo needs mode Queued",
            ),
            ("/spec/delivery", json!({"mode": "Sync", "retry": {}}), "retry needs mode Queued"),
            ("/spec/delivery", json!({"mode": "Sync"}), "dedup needs delivery.mode Queued"),
            ("/spec/delivery/retry", json!({"maxAttempts": 0}), "greater than or equal to 1"),
            ("/spec/delivery/retry", json!({"maxAttempts": 101}), "less than or equal to 100"),
            ("/spec/delivery/retry", json!({"schedule": []}), "should have at least 1 items"),
            (
                "/spec/delivery/retry",
                json!({"schedule": vec!["1s"; 33]}),
                "must have at most 32 items",
            ),
            ("/spec/delivery/retry", json!({"schedule": ["1s", "99ms"]}), wait),
            ("/spec/delivery/retry", json!({"schedule": ["1d"]}), "should match"),
            ("/spec/delivery/retry", json!({"schedule": ["5s"], "initialInterval": "1s"}), EXCLUDE),
            ("/spec/delivery/retry", json!({"schedule": ["5s"], "multiplier": 2}), EXCLUDE),
            ("/spec/delivery/retry", json!({"schedule": ["5s"], "maxInterval": "1h"}), EXCLUDE),
            ("/spec/delivery/retry", json!({"initialInterval": "61m"}), longer),
            ("/spec/delivery/retry", json!({"maxInterval": "4s"}), longer),
            ("/spec/delivery/retry", json!({"initialInterval": "0s"}), wait),
            ("/spec/delivery/retry", json!({"maxInterval": "721h"}), wait),
            ("/spec/delivery/retry", json!({"multiplier": 0.9}), "greater than or equal to 1"),
            ("/spec/delivery/retry", json!({"multiplier": 101}), "less than or equal to 100"),
            ("/spec/delivery/retry", json!({"jitter": -0.1}), "greater than or equal to 0"),
            ("/spec/delivery/retry", json!({"jitter": 1.1}), "less than or equal to 1"),
            ("/spec/delivery/retry", json!({"maxAge": "721h"}), age),
            ("/spec/dedup", json!({}), one_key),
            ("/spec/dedup", json!({"header": "X-Id", "key": "event.id"}), one_key),
            ("/spec/dedup", json!({"header": "X Id"}), "should match"),
            ("/spec/dedup", json!({"key": ""}), "should be at least 1 chars long"),
            ("/spec/dedup", json!({"key": "a".repeat(4097)}), "may not be more than 4096"),
            ("/spec/dedup", json!({"key": "event.id", "window": "0.5s"}), age),
            ("/spec/dedup", json!({"key": "event.id", "window": "721h"}), age),
        ],
    );
}

#[test]
fn an_app_whose_queue_has_a_wrong_field_is_refused_with_the_reason() {
    refuses(
        &with(app("right"), "/spec/delivery", json!({})),
        &[
            ("/spec/delivery", json!({"concurrency": 0}), "greater than or equal to 1"),
            ("/spec/delivery", json!({"concurrency": 257}), "less than or equal to 256"),
            ("/spec/delivery", json!({"retry": {"schedule": ["5s"], "multiplier": 2}}), EXCLUDE),
            ("/spec/delivery", json!({"mode": "Queued"}), "unknown field \"spec.delivery.mode\""),
        ],
    );
}

#[test]
fn a_header_that_the_operator_keeps_to_itself_is_refused() {
    let refused = [
        "Connection",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Authorization",
        "cookie",
        "Host",
        "Expect",
        "Content-Length",
        "Content-Type",
        "Content-Encoding",
        "traceparent",
        "Webhook-Event-Id",
    ];
    let cases = refused.map(|name| ("/spec/forwardHeaders", json!([name]), "is never forwarded"));
    refuses(&webhook("right", "shop"), &cases);
}

#[test]
fn what_a_url_is_made_of_cannot_change() {
    let app_uuid = "uuid is immutable: it is part of every URL of the app";
    let webhook_uuid = "uuid is immutable: it is part of the webhook's URL";
    let with_uuid = |manifest, uuid| with(manifest, "/spec/uuid", json!(uuid));
    refuses_updates(&[
        (with_uuid(app("change"), UUID), with_uuid(app("change"), OTHER_UUID), app_uuid),
        (with_uuid(app("remove"), UUID), app("remove"), app_uuid),
        (app("add"), with_uuid(app("add"), UUID), app_uuid),
        (
            with_uuid(webhook("change", "a"), UUID),
            with_uuid(webhook("change", "a"), OTHER_UUID),
            webhook_uuid,
        ),
        (with_uuid(webhook("remove", "a"), UUID), webhook("remove", "a"), webhook_uuid),
        (webhook("add", "a"), with_uuid(webhook("add", "a"), UUID), webhook_uuid),
        (
            webhook("move", "a"),
            webhook("move", "b"),
            "app is immutable: create a new webhook for another app",
        ),
    ]);
}

#[test]
fn the_bounds_themselves_are_accepted_and_the_defaults_filled_in() {
    let site = Site::new();
    let mut most = app_of_service("most", &"a".repeat(63), json!("fifteen-letters"));
    most["spec"]["uuid"] = json!(UUID);
    most["spec"]["environmentId"] = json!(0);
    most["spec"]["listener"]["timeout"] = json!("300s");
    most["spec"]["serviceAccounts"] = (0..64).map(|i| format!("account.{i}")).collect();
    site.apply(&most);
    site.apply(&with(app("short"), "/spec/listener/timeout", json!("100ms")));
    let grows =
        json!({"initialInterval": "720h", "maxInterval": "720h", "multiplier": 100, "jitter": 0});
    let grows = json!({"concurrency": 256, "retry": grows});
    site.apply(&with(app("grows"), "/spec/delivery", grows));
    site.apply(&with(webhook("sync", "short"), "/spec/delivery", json!({"mode": "Sync"})));
    let queued = json!({"mode": "Queued", "retry": {}});
    site.apply(&with(webhook("queued", "short"), "/spec/delivery", queued));
    let queued = &site.get("webhook/queued")["spec"]["delivery"];
    let defaults = json!({"mode": "Queued", "ordering": "Parallel", "retry": {"jitter": 0.2}});
    assert_eq!(queued, &defaults);
    let mut wide = webhook("wide", "most");
    wide["spec"]["action"] = long(255);
    wide["spec"]["props"] = json!({"nested": {"list": [1, 2.5, null, "é"]}});
    wide["spec"]["maxBodyBytes"] = json!(33_554_432);
    wide["spec"]["forwardHeaders"] = (0..64).map(|i| format!("X-{i}")).collect();
    wide["spec"]["sourceRanges"] = (0..256).map(|i| format!("192.0.2.{i}/32")).collect();
    wide["spec"]["filter"] = long(4096);
    wide["spec"]["rateLimit"] = json!({"requestsPerSecond": 1_000_000, "burst": 1_000_000});
    wide["spec"]["delivery"] = json!({"mode": "Queued", "ordering": "Fifo", "retry": {
        "maxAttempts": 100, "schedule": vec!["100ms"; 32], "jitter": 1, "maxAge": "720h",
    }});
    wide["spec"]["dedup"] = json!({"key": long(4096), "window": "720h"});
    let signed = hmac(json!({
        "algorithm": "sha512", "encoding": "base64", "prefix": "v0=", "tolerance": "24h",
        "signed": "{id}.{timestamp}.{url}.{body}", "timestampHeader": "X-T", "idHeader": "X-Id",
    }));
    wide["spec"]["verify"] = (0..16).map(|_| signed[0].clone()).collect();
    wide["spec"]["cloudEventsOrigins"] = json!(["*", "events.example.com"]);
    site.apply(&wide);
    assert_eq!(site.get("webhook/wide")["spec"]["props"], wide["spec"]["props"]);

    let listener = &site.get("webhookapp/most")["spec"]["listener"];
    assert_eq!(listener["envelope"], "Action");
    assert_eq!(
        (&listener["service"]["path"], &listener["service"]["scheme"]),
        (&json!("/"), &json!("http"))
    );
    site.apply(&app("least"));
    let least = &site.get("webhookapp/least")["spec"];
    assert_eq!(
        (&least["environmentId"], &least["listener"]["timeout"]),
        (&json!(1), &json!("10s"))
    );
    site.apply(&webhook("least", "least"));
    let least = &site.get("webhook/least")["spec"];
    assert_eq!((&least["suspend"], least.get("maxBodyBytes")), (&json!(false), None));
}

#[test]
fn a_null_is_an_absent_field_to_the_rules() {
    let site = Site::new();
    let mut nulls = with(app("nulls"), "/spec/listener/service", json!(null));
    nulls["spec"]["uuid"] = json!(null);
    site.apply(&nulls);
    site.apply(&app("nulls"));
    site.apply(&with(webhook("nulls", "nulls"), "/spec/props", json!(null)));
    site.apply(&with(webhook("nulls", "nulls"), "/spec/userId", json!(null)));
}
