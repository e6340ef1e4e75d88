//! What each example's sender sends, as it documents it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::Ed25519KeyPair;

use crate::verify::sign;

/// A sender, and an event of it.
pub struct Sender {
    /// The webhook that it sends to.
    pub webhook: &'static str,
    /// Headers that tell about the event: the listener gets them.
    pub told: &'static [(&'static str, &'static str)],
    pub content_type: &'static str,
    /// `{millis}` in it is the time.
    pub body: &'static str,
    /// What the listener gets as the event, if it is not what was sent.
    pub transformed: Option<&'static str>,
    /// The headers that prove who sends, the proof itself at last; none where nobody asks.
    pub proof: fn(&Signing<'_>) -> Vec<(&'static str, String)>,
}

/// What a proof is made from.
pub struct Signing<'a> {
    pub secret: &'a str,
    pub url: &'a str,
    pub body: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

const JSON: Sender = Sender {
    webhook: "",
    told: &[],
    content_type: "application/json",
    body: r#"{"id": "evt_1", "name": "zwölf"}"#,
    transformed: None,
    proof: |_| Vec::new(),
};

/// The sender of every example that one can send to without an issuer of tokens.
pub const SENDERS: &[Sender] = &[
    Sender { webhook: "payments", ..JSON },
    Sender {
        webhook: "github",
        told: &[("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "72d3162e")],
        proof: |with| vec![("X-Hub-Signature-256", with.prefixed())],
        ..JSON
    },
    Sender {
        webhook: "gitlab",
        told: &[
            ("X-Gitlab-Event", "Push Hook"),
            ("X-Gitlab-Event-UUID", "13792a34"),
            ("X-Gitlab-Webhook-UUID", "02affd2d"),
            ("X-Gitlab-Instance", "https://gitlab.example.com"),
            ("Idempotency-Key", "f5e5f430"),
        ],
        proof: |with| {
            let mut proof = vec![("webhook-id", "f5e5f430".to_owned())];
            proof.extend(with.standard("f5e5f430"));
            proof
        },
        ..JSON
    },
    Sender {
        webhook: "bitbucket",
        told: &[
            ("X-Event-Key", "repo:push"),
            ("X-Hook-UUID", "a5a0e1f7"),
            ("X-Request-UUID", "8ff1c1e0"),
            ("X-Attempt-Number", "1"),
        ],
        proof: |with| vec![("X-Hub-Signature", with.prefixed())],
        ..JSON
    },
    Sender {
        webhook: "gitea",
        told: &[
            ("X-Gitea-Event", "push"),
            ("X-Gitea-Event-Type", "push"),
            ("X-Gitea-Delivery", "f6266f16"),
        ],
        proof: |with| vec![("X-Gitea-Signature", with.hex(with.body))],
        ..JSON
    },
    Sender {
        webhook: "stripe",
        proof: |with| {
            let signature = with.hex(&format!("{}.{}", with.now, with.body));
            vec![("Stripe-Signature", format!("t={},v1={signature}", with.now))]
        },
        ..JSON
    },
    Sender {
        webhook: "mux",
        proof: |with| {
            let signature = with.hex(&format!("{}.{}", with.now, with.body));
            vec![("Mux-Signature", format!("t={},v1={signature}", with.now))]
        },
        ..JSON
    },
    Sender {
        webhook: "paddle",
        body: r#"{"event_id": "evt_1", "notification_id": "ntf_1"}"#,
        proof: |with| {
            let signature = with.hex(&format!("{}:{}", with.now, with.body));
            vec![("Paddle-Signature", format!("ts={};h1={signature}", with.now))]
        },
        ..JSON
    },
    Sender {
        webhook: "pagerduty",
        told: &[("X-Webhook-Id", "02affd2d"), ("X-Webhook-Subscription", "PY1OL64")],
        body: r#"{"event": {"id": "01BO6VA3C51GGFPWDCO2XCWGXV"}}"#,
        proof: |with| {
            let (old, new) = ("0".repeat(64), with.hex(with.body));
            vec![("X-PagerDuty-Signature", format!("v1={old},v1={new}"))]
        },
        ..JSON
    },
    Sender {
        webhook: "square",
        told: &[
            ("Square-Environment", "Production"),
            ("Square-Retry-Number", "1"),
            ("Square-Retry-Reason", "http_timeout"),
        ],
        body: r#"{"event_id": "13b867cf", "type": "payment.updated"}"#,
        proof: |with| {
            let signed = format!("{}{}", with.url, with.body);
            let signature = sign::base64(with.secret.as_bytes(), &signed);
            vec![("X-Square-HmacSha256-Signature", signature)]
        },
        ..JSON
    },
    Sender {
        webhook: "shopify",
        told: &[
            ("X-Shopify-Topic", "orders/create"),
            ("X-Shopify-Shop-Domain", "shop.example.com"),
            ("X-Shopify-API-Version", "2026-10"),
            ("X-Shopify-Webhook-Id", "b54557e4"),
            ("X-Shopify-Event-Id", "98880550"),
            ("X-Shopify-Triggered-At", "2026-11-24T12:00:00Z"),
        ],
        proof: |with| {
            vec![("X-Shopify-Hmac-Sha256", sign::base64(with.secret.as_bytes(), with.body))]
        },
        ..JSON
    },
    Sender {
        webhook: "slack",
        told: &[("X-Slack-Retry-Num", "1"), ("X-Slack-Retry-Reason", "http_timeout")],
        body: r#"{"type": "event_callback", "event_id": "Ev08MFMKH6"}"#,
        proof: |with| with.v0("X-Slack-Request-Timestamp", "X-Slack-Signature"),
        ..JSON
    },
    Sender {
        webhook: "discord",
        body: r#"{"version": 1, "type": 1, "event": {"type": "APPLICATION_AUTHORIZED"}}"#,
        proof: |with| {
            let signed = format!("{}{}", with.now, with.body);
            let signature = sign::digits(rfc_8032_key().sign(signed.as_bytes()));
            vec![
                ("X-Signature-Timestamp", with.now.to_string()),
                ("X-Signature-Ed25519", signature),
            ]
        },
        ..JSON
    },
    Sender {
        webhook: "zoom",
        proof: |with| with.v0("x-zm-request-timestamp", "x-zm-signature"),
        ..JSON
    },
    Sender {
        webhook: "linear",
        told: &[("Linear-Event", "Issue"), ("Linear-Delivery", "234d1a4e")],
        body: r#"{"action": "create", "webhookTimestamp": {millis}}"#,
        proof: |with| vec![("Linear-Signature", with.hex(with.body))],
        ..JSON
    },
    Sender {
        webhook: "twilio",
        told: &[("I-Twilio-Idempotency-Token", "cb85a3c0")],
        content_type: "application/x-www-form-urlencoded",
        body: "From=%2B14155550100&Body=Hi+there&MessageSid=SM1",
        proof: |with| {
            let signed = format!("{}BodyHi thereFrom+14155550100MessageSidSM1", with.url);
            let signature = BASE64_STANDARD.encode(sign::sha1(with.secret.as_bytes(), &signed));
            vec![("X-Twilio-Signature", signature)]
        },
        transformed: None,
    },
    Sender {
        webhook: "meta",
        proof: |with| vec![("X-Hub-Signature-256", with.prefixed())],
        ..JSON
    },
    Sender {
        webhook: "clerk",
        told: &[("webhook-id", "msg_2b6a")],
        proof: |with| with.standard("msg_2b6a"),
        ..JSON
    },
    Sender {
        webhook: "erp",
        proof: |with| {
            let signed = format!("id-7.{}.{}", with.now, with.body);
            vec![
                ("X-Id", "id-7".into()),
                ("X-Timestamp", with.now.to_string()),
                ("X-Signature", format!("sha256={}", with.hex(&signed))),
            ]
        },
        ..JSON
    },
    Sender {
        webhook: "ci-bearer",
        proof: |with| vec![("Authorization", format!("Bearer {}", with.secret))],
        ..JSON
    },
    Sender {
        webhook: "ci-basic",
        proof: |with| {
            vec![("Authorization", format!("Basic {}", BASE64_STANDARD.encode(with.secret)))]
        },
        ..JSON
    },
    Sender { webhook: "ci-apikey", proof: |with| with.api_key(), ..JSON },
    Sender {
        webhook: "eventgrid",
        told: &[
            ("ce-id", "9aeb0fdf"),
            ("ce-source", "/storage/shop"),
            ("ce-type", "Microsoft.Storage.BlobCreated"),
        ],
        proof: |with| with.api_key(),
        ..JSON
    },
    Sender { webhook: "partner", proof: |with| with.api_key(), ..JSON },
    Sender {
        webhook: "orders",
        body: r#"{"id": 7, "type": "paid", "items": [{"price": 2.5, "count": 2}], "more": 1}"#,
        transformed: Some(r#"{"id": 7, "total": 5, "customer": "unknown"}"#),
        proof: |with| with.api_key(),
        ..JSON
    },
];

impl Signing<'_> {
    fn hex(&self, signed: &str) -> String {
        sign::hex(self.secret.as_bytes(), signed)
    }

    fn prefixed(&self) -> String {
        format!("sha256={}", self.hex(self.body))
    }

    /// As Slack made it, and Zoom took it over.
    fn v0(&self, timestamp: &'static str, header: &'static str) -> Vec<(&'static str, String)> {
        let signature = self.hex(&format!("v0:{}:{}", self.now, self.body));
        vec![(timestamp, self.now.to_string()), (header, format!("v0={signature}"))]
    }

    /// Standard Webhooks; the id is sent beside it.
    fn standard(&self, id: &str) -> Vec<(&'static str, String)> {
        let key = BASE64_STANDARD.decode(self.secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signature = sign::base64(&key, &format!("{id}.{}.{}", self.now, self.body));
        vec![
            ("webhook-timestamp", self.now.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ]
    }

    fn api_key(&self) -> Vec<(&'static str, String)> {
        vec![("X-Api-Key", self.secret.into())]
    }
}

/// The key pair of RFC 8032, section 7.1, test 1.
fn rfc_8032_key() -> Ed25519KeyPair {
    let seed = b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
        \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
    Ed25519KeyPair::from_seed_unchecked(seed).unwrap()
}
