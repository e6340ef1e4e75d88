//! The details of single providers that are easily got wrong.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use webhook_operator::verify::{Denied, Entry, Verifier, Verifiers};

use super::request::{NOW, Request, row, secrets, verifier};
use super::sign::{base64, digits, hex, sha1};

/// What `whsec_AQIDBA==` spells.
const KEY: &[u8] = &[1, 2, 3, 4];

/// A request signed as Standard Webhooks has it, under headers of a family: `webhook` or `svix`.
fn standard(family: &str, key: &[u8], id: &str, body: &str) -> Request {
    let signature = base64(key, &format!("{id}.{NOW}.{body}"));
    Request::of(body)
        .with(&format!("{family}-id"), id)
        .with(&format!("{family}-timestamp"), NOW.to_string())
        .with(&format!("{family}-signature"), format!("v1,{signature}"))
}

fn stripe(header: &str) -> Option<Denied> {
    let request = Request::of("{}").with("Stripe-Signature", header);
    request.denied(&verifier("Stripe", &["whsec_abc"]))
}

#[test]
fn any_of_several_stripe_signatures_may_match_and_other_schemes_are_ignored() {
    let right = hex(b"whsec_abc", &format!("{NOW}.{{}}"));
    let wrong = "0".repeat(64);
    for header in [
        format!("t={NOW},v1={right}"),
        format!("t={NOW},v1={wrong},v1={right}"),
        format!("t={NOW},v1={right},v1={wrong}"),
        format!("t={NOW},v0={wrong},v1={right},v9=x"),
        format!("v1={right},t={NOW}"),
        format!("t={NOW},v1=not-hex,v1={right}"),
    ] {
        assert_eq!(stripe(&header), None, "{header}");
    }
    for (header, why) in [
        (format!("t={NOW},v0={right}"), Denied::OtherScheme),
        (format!("t={NOW},v1={wrong}"), Denied::Mismatch),
        (format!("t={NOW},v1=not-hex"), Denied::Malformed),
        (format!("v1={right}"), Denied::Malformed),
        (format!("t={NOW},t={NOW},v1={right}"), Denied::DoubledHeader),
        (format!("t=,v1={right}"), Denied::Malformed),
        (format!("t=+{NOW},v1={right}"), Denied::Malformed),
        (format!("t={NOW},v1={right},junk"), Denied::Malformed),
        (format!("t={NOW},,v1={right}"), Denied::Malformed),
        (format!("t={NOW};v1={right}"), Denied::OtherScheme),
        (format!("t={NOW},v1={}", "0".repeat(20_000)), Denied::Malformed),
    ] {
        assert_eq!(stripe(&header), Some(why), "{header}");
    }
}

#[test]
fn a_stripe_secret_is_used_verbatim_and_a_standard_one_decoded() {
    let text = "whsec_AQIDBA==";
    let standard_one = verifier("StandardWebhooks", &[text]);
    let stripe = verifier("Stripe", &[text]);
    let signed = |key: &[u8]| format!("t={NOW},v1={}", hex(key, &format!("{NOW}.{{}}")));
    let by_stripe = |key: &[u8]| Request::of("{}").with("Stripe-Signature", signed(key));
    assert_eq!(standard("webhook", KEY, "m", "{}").denied(&standard_one), None);
    assert_eq!(by_stripe(text.as_bytes()).denied(&stripe), None);
    for key in [text.as_bytes(), b"AQIDBA=="] {
        let request = standard("webhook", key, "m", "{}");
        assert_eq!(request.denied(&standard_one), Some(Denied::Mismatch));
    }
    for key in [KEY, b"AQIDBA=="] {
        assert_eq!(by_stripe(key).denied(&stripe), Some(Denied::Mismatch));
    }
}

#[test]
fn any_of_several_standard_signatures_may_match() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let right = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let wrong = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    let denied = |signatures: String| {
        let request = Request::of("{\"test\": 2432232314}")
            .at(1_614_265_330)
            .with("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
            .with("webhook-timestamp", "1614265330")
            .with("webhook-signature", signatures);
        request.denied(&verifier("StandardWebhooks", &[secret]))
    };
    assert_eq!(denied(format!("v1,{wrong} v2,{wrong} v1,{right} v1,{wrong}")), None);
    assert_eq!(denied(format!("v1a,{wrong} v1,{right}")), None);
    assert_eq!(denied(format!("v2,{right}")), Some(Denied::OtherScheme));
    assert_eq!(denied(format!("v1a,{right}")), Some(Denied::OtherScheme));
    assert_eq!(denied(right.into()), Some(Denied::Malformed));
    assert_eq!(denied(format!("v1,{right} v1")), Some(Denied::Malformed));
    assert_eq!(denied(vec![format!("v1,{wrong}"); 17].join(" ")), Some(Denied::Malformed));
}

#[test]
fn an_id_cannot_reach_into_what_follows_it() {
    let standard_one = verifier("StandardWebhooks", &["whsec_AQIDBA=="]);
    assert_eq!(standard("webhook", KEY, "m_1", "x").denied(&standard_one), None);
    // The same bytes might be those of id `m`, timestamp `1`.
    let request = standard("webhook", KEY, "m.1", "x");
    assert_eq!(request.denied(&standard_one), Some(Denied::Malformed));
}

#[test]
fn github_sha1_is_accepted_only_where_it_is_asked_for() {
    let signature = format!("sha1={}", digits(sha1(b"s", "{}")));
    let request = Request::of("{}").with("X-Hub-Signature", signature);
    assert_eq!(request.denied(&verifier("GitHub", &["s"])), Some(Denied::MissingHeader));
    let entry = Entry::Provider { provider: row("GitHub"), legacy: true, verify_token: None };
    let asked = Verifier::new(entry, &secrets(&["s"])).unwrap();
    assert_eq!(request.denied(&asked), None);
    // Nor is a SHA-256 signature of Bitbucket's one of GitHub's old header.
    let sha256 = Request::of("{}").with("X-Hub-Signature", format!("sha256={}", hex(b"s", "{}")));
    assert_eq!(sha256.denied(&asked), Some(Denied::OtherScheme));
    assert_eq!(sha256.denied(&verifier("Bitbucket", &["s"])), None);
    assert_eq!(request.denied(&verifier("Bitbucket", &["s"])), Some(Denied::OtherScheme));
}

#[test]
fn gitlab_takes_a_secret_token_or_a_signing_token() {
    let shown = |value: &str| Request::of("any body").with("X-Gitlab-Token", value);
    let token = verifier("GitLab", &["tok en"]);
    assert_eq!(shown("tok en").denied(&token), None);
    for value in ["tok e", "tok en ", "Tok en", "x"] {
        assert_eq!(shown(value).denied(&token), Some(Denied::Mismatch), "{value}");
    }
    let doubled = shown("tok en").with("X-Gitlab-Token", "x");
    assert_eq!(doubled.denied(&token), Some(Denied::DoubledHeader));
    assert_eq!(Request::of("").denied(&token), Some(Denied::MissingHeader));
    let signed = standard("webhook", KEY, "m", "{}");
    assert_eq!(signed.denied(&verifier("GitLab", &["whsec_AQIDBA=="])), None);
    // A secret token that is base64 by chance is no signing token.
    assert_eq!(signed.denied(&verifier("GitLab", &["AQIDBA=="])), Some(Denied::MissingHeader));
}

#[test]
fn linear_is_held_to_the_timestamp_in_its_body_after_its_signature() {
    let denied = |body: &str, key: &[u8]| {
        let request = Request::of(body).with("Linear-Signature", hex(key, body));
        request.denied(&verifier("Linear", &["s"]))
    };
    let fresh = format!("{{\"webhookTimestamp\":{NOW}000}}");
    let stale = format!("{{\"webhookTimestamp\":{}000}}", NOW - 61);
    assert_eq!(denied(&fresh, b"s"), None);
    assert_eq!(denied(&stale, b"s"), Some(Denied::Stale));
    assert_eq!(denied(&stale, b"forged"), Some(Denied::Mismatch));
    for body in ["", "{}", "[]", "not json", "{\"webhookTimestamp\":\"1700000000000\"}"] {
        assert_eq!(denied(body, b"s"), Some(Denied::Malformed), "{body}");
    }
    let nested = format!("{{\"data\":{{\"webhookTimestamp\":{NOW}000}}}}");
    assert_eq!(denied(&nested, b"s"), Some(Denied::Malformed));
}

/// Twilio's own tests of its helper libraries.
#[test]
fn twilio_signs_with_or_without_the_port() {
    let form = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
    let twilio = verifier("Twilio", &["12345"]);
    let denied = |origin: &str, signature: &str| {
        let mut request = Request::of(form)
            .to("/myapp.php?foo=1&bar=2")
            .with("Content-Type", "application/x-www-form-urlencoded")
            .with("X-Twilio-Signature", signature);
        request.external_url = origin.into();
        request.denied(&twilio)
    };
    let plain = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    assert_eq!(denied("https://mycompany.com", plain), None);
    assert_eq!(denied("https://mycompany.com:1234", plain), None);
    assert_eq!(denied("https://mycompany.com", "kvajT1Ptam85bY51eRf/AJRuM3w="), None);
    assert_eq!(denied("http://mycompany.com", "0ZXoZLH/DfblKGATFgpif+LLRf4="), None);
    assert_eq!(denied("http://mycompany.com:1234", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="), None);
    assert_eq!(denied("http://mycompany.com", plain), Some(Denied::Mismatch));
    assert_eq!(denied("https://mycompany.co", plain), Some(Denied::Mismatch));
    assert_eq!(denied("https://mycompany.com/x", plain), Some(Denied::Mismatch));
}

#[test]
fn twilio_signs_a_repeated_parameter_once_a_value_and_another_body_by_its_digest() {
    let twilio = verifier("Twilio", &["12345"]);
    let at = |path: &str, body: &str, content_type: &str, signature: &str| {
        let mut request = Request::of(body).to(path).with("X-Twilio-Signature", signature);
        request.external_url = "https://mycompany.com".into();
        if !content_type.is_empty() {
            request = request.with("Content-Type", content_type);
        }
        request.denied(&twilio)
    };
    let path = "/myapp.php?foo=1&bar=2";
    let form = "application/x-www-form-urlencoded";
    let repeated = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234";
    assert_eq!(at(path, repeated, form, "IK+Dwps556ElfBT0I3Rgjkr1wJU="), None);
    let body = "{\"property\": \"value\", \"boolean\": true}";
    let signed = format!(
        "{path}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    );
    let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
    assert_eq!(at(&signed, body, "application/json", signature), None);
    assert_eq!(at(&signed, "{}", "application/json", signature), Some(Denied::Mismatch));
    assert_eq!(at(&signed, "", "", signature), Some(Denied::Mismatch));
    assert_eq!(at(path, body, "application/json", signature), Some(Denied::BodyNotCovered));
}

#[test]
fn a_twilio_signature_of_the_url_alone_does_not_vouch_for_a_body() {
    let twilio = verifier("Twilio", &["twilio-token"]);
    let tag = sha1(b"twilio-token", "https://hooks.example.com/apps/a/webhooks/b");
    let signature = BASE64_STANDARD.encode(tag);
    let with = |body: &str| Request::of(body).with("X-Twilio-Signature", &signature);
    assert_eq!(with("").denied(&twilio), None);
    assert_eq!(with("{}").denied(&twilio), Some(Denied::BodyNotCovered));
    for content_type in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let request = with("{}").with("Content-Type", content_type);
        assert_eq!(request.denied(&twilio), Some(Denied::BodyNotCovered), "{content_type}");
    }
}

#[test]
fn a_key_of_one_algorithm_is_never_used_by_another() {
    // The public key as HMAC secret: what every forger knows.
    let public = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=";
    let request = standard("webhook", &BASE64_STANDARD.decode(public).unwrap(), "m", "{}");
    let asymmetric = verifier("StandardWebhooks", &[&format!("whpk_{public}")]);
    assert_eq!(request.denied(&asymmetric), Some(Denied::OtherScheme));
}

#[test]
fn what_a_provider_tells_about_an_event_comes_with_the_verification() {
    let body = format!("{{\"webhookTimestamp\":{NOW}000}}");
    let request = Request::of(&*body)
        .with("X-Hub-Signature-256", format!("sha256={}", hex(b"s", &body)))
        .with("X-Shopify-Hmac-Sha256", base64(b"s", &body))
        .with("Linear-Signature", hex(b"s", &body))
        .with("Stripe-Signature", format!("t={NOW},v1={}", hex(b"s", &format!("{NOW}.{body}"))));
    for (name, names) in [
        (
            "GitHub",
            &[
                "x-github-event",
                "x-github-delivery",
                "x-github-hook-id",
                "x-github-hook-installation-target-id",
                "x-github-hook-installation-target-type",
            ][..],
        ),
        (
            "Shopify",
            &[
                "x-shopify-topic",
                "x-shopify-name",
                "x-shopify-sub-topic",
                "x-shopify-shop-domain",
                "x-shopify-api-version",
                "x-shopify-webhook-id",
                "x-shopify-event-id",
                "x-shopify-triggered-at",
                "shopify-webhook-id",
            ],
        ),
        ("Linear", &["linear-event", "linear-delivery"]),
        ("Stripe", &[]),
    ] {
        let verifier = verifier(name, &["s"]);
        let verified = request.check(&verifier).unwrap();
        assert_eq!(verified.provider(), name);
        assert_eq!(verified.event_headers(), names);
    }
}

#[test]
fn a_delivery_has_the_id_that_its_provider_gives_it() {
    let id = |name: &str, request: Request| {
        let verifier = verifier(name, &["s"]);
        let verified = request.check(&verifier).unwrap_or_else(|why| panic!("{name}: {why}"));
        verified.delivery_id(&request.input()).map(|id| id.id.into_owned())
    };
    let github = |body: &str| {
        Request::of(body).with("X-Hub-Signature-256", format!("sha256={}", hex(b"s", body)))
    };
    assert_eq!(
        id("GitHub", github("{}").with("X-GitHub-Delivery", "72d3162e")),
        Some("72d3162e".into())
    );
    assert_eq!(id("GitHub", github("{}")), None);
    assert_eq!(id("GitHub", github("{}").with("X-GitHub-Delivery", "x".repeat(257))), None);
    let stripe = |body: &str| {
        let signature = hex(b"s", &format!("{NOW}.{body}"));
        Request::of(body).with("Stripe-Signature", format!("t={NOW},v1={signature}"))
    };
    assert_eq!(id("Stripe", stripe(r#"{"id":"evt_1","data":{"id":"no"}}"#)), Some("evt_1".into()));
    assert_eq!(id("Stripe", stripe(r#"{"data":{"id":"no"}}"#)), None);
    assert_eq!(id("Stripe", stripe("no json")), None);
    let slack = r#"{"type":"event_callback","event":{"event_id":"no"},"event_id":"Ev08MFMKH6"}"#;
    let request = Request::of(slack)
        .with("X-Slack-Request-Timestamp", NOW.to_string())
        .with("X-Slack-Signature", format!("v0={}", hex(b"s", &format!("v0:{NOW}:{slack}"))));
    assert_eq!(id("Slack", request), Some("Ev08MFMKH6".into()));
    let gitlab =
        || Request::of("{}").with("X-Gitlab-Token", "s").with("X-Gitlab-Event-UUID", "u-1");
    assert_eq!(id("GitLab", gitlab().with("Idempotency-Key", "k-1")), Some("k-1".into()));
    let bitbucket =
        || Request::of("{}").with("X-Hub-Signature", format!("sha256={}", hex(b"s", "{}")));
    assert_eq!(id("Bitbucket", bitbucket().with("X-Request-Id", "r-1")), Some("r-1".into()));
    let cloud = bitbucket().with("X-Request-Id", "of a proxy").with("X-Request-UUID", "u-1");
    assert_eq!(id("Bitbucket", cloud), Some("u-1".into()));
    let shopify = Request::of("{}").with("Shopify-Hmac-Sha256", base64(b"s", "{}"));
    assert_eq!(id("Shopify", shopify.with("Shopify-Webhook-Id", "w-1")), Some("w-1".into()));
}

/// Two events that a sender tells apart never have one id: the second would be lost.
#[test]
fn different_events_have_different_ids() {
    let id = |name: &str, request: Request| {
        let verifier = verifier(name, &["s"]);
        let verified = request.check(&verifier).unwrap();
        let id = verified.delivery_id(&request.input())?;
        Some((id.name.to_owned(), id.endpoint.map(str::to_owned), id.id.into_owned()))
    };
    // Two hooks on one URL get the same GUID.
    let github = |hook: &str, guid: &str| {
        let signature = format!("sha256={}", hex(b"s", "{}"));
        let request = Request::of("{}").with("X-Hub-Signature-256", signature);
        id("GitHub", request.with("X-GitHub-Delivery", guid).with("X-GitHub-Hook-ID", hook))
    };
    assert_eq!(github("1", "72d3162e"), github("1", "72d3162e"));
    assert_ne!(github("1", "72d3162e"), github("2", "72d3162e"));
    assert_ne!(github("1", "72d3162e"), github("1", "cc7811e3"));
    assert_ne!(github("1", "2 3"), github("1 2", "3"));
    assert_ne!(github("1", "3"), github("", "1 3"), "a hook is no part of an id");
    for no_id in ["", " ", "\t"] {
        assert_eq!(github("1", no_id), None, "{no_id:?}");
        let signature = format!("sha256={}", hex(b"s", "{}"));
        let gitea = Request::of("{}").with("X-Gitea-Signature", hex(b"s", "{}"));
        assert_eq!(id("Gitea", gitea.with("X-Gitea-Delivery", no_id)), None, "{no_id:?}");
        let bitbucket = Request::of("{}").with("X-Hub-Signature", signature);
        assert_eq!(id("Bitbucket", bitbucket.with("X-Request-Id", no_id)), None, "{no_id:?}");
        let body = format!(r#"{{"id":{}}}"#, serde_json::to_string(no_id).unwrap());
        let signature = hex(b"s", &format!("{NOW}.{body}"));
        let stripe =
            Request::of(&*body).with("Stripe-Signature", format!("t={NOW},v1={signature}"));
        assert_eq!(id("Stripe", stripe), None, "{no_id:?}");
    }
    let twice = |hook: &str| {
        let signature = format!("sha256={}", hex(b"s", "{}"));
        let request = Request::of("{}").with("X-Hub-Signature-256", signature);
        let request = request.with("X-GitHub-Delivery", "a").with("X-GitHub-Hook-ID", "1");
        id("GitHub", request.with("X-GitHub-Hook-ID", hook))
    };
    assert_eq!((twice("1"), twice("2")), (None, None), "which hook it is cannot be told");
    // Events that cause each other share the UUID of their chain.
    let gitlab = Request::of("{}").with("X-Gitlab-Token", "s").with("X-Gitlab-Event-UUID", "u-1");
    assert_eq!(id("GitLab", gitlab), None);
}

#[test]
fn a_signed_id_goes_before_one_that_anybody_can_change() {
    let id = |name: &str, request: Request| {
        let verifier = verifier(name, &["whsec_AQIDBA=="]);
        let verified = request.check(&verifier).unwrap();
        verified.delivery_id(&request.input()).unwrap().id.into_owned()
    };
    let gitlab = standard("webhook", KEY, "m", "{}").with("X-Gitlab-Event-UUID", "changed");
    assert_eq!(id("GitLab", gitlab), "m");
    // The id is that of the headers which were verified, whatever stands in the others.
    let svix = standard("svix", KEY, "m", "{}").with("webhook-id", "changed");
    assert_eq!(id("StandardWebhooks", svix), "m");
}

#[test]
fn a_list_accepts_when_one_entry_does_and_an_empty_one_accepts_all() {
    let request =
        Request::of("{}").with("X-Hub-Signature-256", format!("sha256={}", hex(b"s", "{}")));
    let list = |entries: Vec<Verifier>| Verifiers::new(entries);
    let both = list(vec![verifier("Stripe", &["s"]), verifier("GitHub", &["s"])]);
    assert_eq!(both.check(&request.input()).unwrap().unwrap().provider(), "GitHub");
    assert!(Verifiers::default().check(&request.input()).unwrap().is_none());
    // The one that came furthest tells why.
    let neither = list(vec![verifier("GitHub", &["x"]), verifier("Stripe", &["s"])]);
    assert_eq!(neither.check(&request.input()).unwrap_err(), Denied::Mismatch);
    let neither = list(vec![verifier("Stripe", &["s"]), verifier("GitHub", &["x"])]);
    assert_eq!(neither.check(&request.input()).unwrap_err(), Denied::Mismatch);
}
