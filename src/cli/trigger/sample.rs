//! A small example event of each provider: data. Pure.

/// An example event of a provider.
pub struct Sample {
    /// The `type` of the entry in `spec.verify`.
    provider: &'static str,
    /// Headers of the event. `{id}` is the delivery's id.
    pub headers: &'static [(&'static str, &'static str)],
    /// The content type of the body.
    pub content_type: &'static str,
    /// The body. `{id}` is the delivery id, `{millis}` and `{seconds}` the time since 1970.
    body: &'static str,
}

const JSON: &str = "application/json";

/// For all other providers.
static PLAIN: Sample = Sample {
    provider: "",
    headers: &[],
    content_type: JSON,
    body: r#"{"type":"test","id":"{id}","message":"a test event of webhook-operator"}"#,
};

static SAMPLES: &[Sample] = &[
    Sample {
        provider: "GitHub",
        headers: &[("X-GitHub-Event", "ping"), ("X-GitHub-Delivery", "{id}")],
        body: r#"{"zen":"Practicality beats purity.","hook_id":1,"hook":{"type":"Repository","id":1,"events":["push"]}}"#,
        ..PLAIN
    },
    Sample {
        provider: "GitLab",
        headers: &[("X-Gitlab-Event", "Push Hook"), ("Idempotency-Key", "{id}")],
        body: r#"{"object_kind":"push","ref":"refs/heads/main","user_name":"Test","project":{"name":"test"},"commits":[],"total_commits_count":0}"#,
        ..PLAIN
    },
    Sample {
        provider: "Bitbucket",
        headers: &[
            ("X-Event-Key", "repo:push"),
            ("X-Request-UUID", "{id}"),
            ("X-Attempt-Number", "1"),
        ],
        body: r#"{"actor":{"display_name":"Test"},"repository":{"name":"test"},"push":{"changes":[]}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Gitea",
        headers: &[
            ("X-Gitea-Event", "push"),
            ("X-Gitea-Event-Type", "push"),
            ("X-Gitea-Delivery", "{id}"),
        ],
        body: r#"{"ref":"refs/heads/main","commits":[],"repository":{"name":"test"},"pusher":{"login":"test"}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Stripe",
        body: r#"{"id":"evt_{id}","object":"event","type":"payment_intent.succeeded","created":{seconds},"livemode":false,"data":{"object":{"id":"pi_test","object":"payment_intent","amount":1200,"currency":"eur","status":"succeeded"}}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Slack",
        body: r#"{"type":"event_callback","event_id":"Ev{id}","event_time":{seconds},"team_id":"T0TEST","event":{"type":"app_mention","user":"U0TEST","channel":"C0TEST","text":"a test"}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Shopify",
        headers: &[
            ("X-Shopify-Topic", "orders/create"),
            ("X-Shopify-Shop-Domain", "test.myshopify.com"),
            ("X-Shopify-Webhook-Id", "{id}"),
        ],
        body: r#"{"id":820982911946154508,"name":"Test 9999","test":true,"currency":"EUR","total_price":"12.00","line_items":[]}"#,
        ..PLAIN
    },
    Sample {
        provider: "Twilio",
        headers: &[("I-Twilio-Idempotency-Token", "{id}")],
        content_type: "application/x-www-form-urlencoded",
        body: "MessageSid=SM{id}&From=%2B15005550006&To=%2B15005550001&Body=a+test",
    },
    Sample {
        provider: "Zoom",
        body: r#"{"event":"meeting.started","event_ts":{millis},"payload":{"account_id":"test","object":{"id":"1234567890","topic":"A test"}}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Linear",
        headers: &[("Linear-Event", "Issue"), ("Linear-Delivery", "{id}")],
        body: r#"{"action":"create","type":"Issue","data":{"id":"{id}","title":"A test"},"webhookTimestamp":{millis}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Discord",
        body: r#"{"version":1,"application_id":"1","type":1,"event":{"type":"APPLICATION_AUTHORIZED","timestamp":"2026-01-01T00:00:00Z","data":{}}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Meta",
        body: r#"{"object":"page","entry":[{"id":"0","time":{seconds},"changes":[{"field":"feed","value":{"item":"status","verb":"add"}}]}]}"#,
        ..PLAIN
    },
    Sample {
        provider: "Mux",
        body: r#"{"type":"video.asset.ready","id":"{id}","environment":{"name":"Test","id":"test"},"object":{"type":"asset","id":"test"},"data":{"id":"test","status":"ready","duration":12.5}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Paddle",
        body: r#"{"event_id":"evt_{id}","event_type":"transaction.completed","notification_id":"ntf_{id}","data":{"id":"txn_test","status":"completed","currency_code":"EUR"}}"#,
        ..PLAIN
    },
    Sample {
        provider: "PagerDuty",
        headers: &[("X-Webhook-Id", "test"), ("X-Webhook-Subscription", "PTEST")],
        body: r#"{"event":{"id":"{id}","event_type":"incident.triggered","resource_type":"incident","data":{"id":"PTEST","type":"incident","title":"A test","status":"triggered"}}}"#,
        ..PLAIN
    },
    Sample {
        provider: "Square",
        headers: &[("Square-Environment", "Sandbox")],
        body: r#"{"merchant_id":"TEST","type":"payment.updated","event_id":"{id}","data":{"type":"payment","id":"test","object":{"payment":{"id":"test","status":"COMPLETED"}}}}"#,
        ..PLAIN
    },
];

impl Sample {
    /// The example event of a provider, or the generic one.
    pub fn of(provider: Option<&str>) -> &'static Self {
        let named = SAMPLES.iter().find(|sample| Some(sample.provider) == provider);
        named.unwrap_or(&PLAIN)
    }

    /// The body, with its id and time.
    pub fn body(&self, id: &str, millis: u64) -> String {
        self.body
            .replace("{id}", id)
            .replace("{millis}", &millis.to_string())
            .replace("{seconds}", &(millis / 1000).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Provider;

    #[test]
    fn each_sample_is_of_a_provider_and_of_its_own_content_type() {
        for sample in SAMPLES.iter().chain([&PLAIN]) {
            assert!(sample.provider.is_empty() || Provider::named(sample.provider).is_some());
            let body = sample.body("7", 1_700_000_000_123);
            if sample.content_type == JSON {
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert!(value.is_object(), "{}", sample.provider);
            }
            assert!(!body.contains("{id}") && !body.contains("{millis}"), "{body}");
        }
    }

    #[test]
    fn a_sample_tells_the_headers_by_which_its_provider_names_a_delivery() {
        use crate::verify::Delivery;
        for sample in SAMPLES {
            let delivery = Provider::named(sample.provider).and_then(|provider| provider.delivery);
            let names = match &delivery {
                Some(Delivery::FirstHeader(names)) => names,
                Some(Delivery::Header(name) | Delivery::PerEndpoint(_, name)) => {
                    std::slice::from_ref(name)
                }
                Some(Delivery::Pointer(_)) | None => &[],
            };
            match delivery {
                Some(
                    Delivery::Header(_) | Delivery::FirstHeader(_) | Delivery::PerEndpoint(..),
                ) => {
                    let told = sample.headers.iter().find(|(name, _)| {
                        names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
                    });
                    assert_eq!(told.unwrap().1, "{id}", "{}", sample.provider);
                }
                Some(Delivery::Pointer(_)) => assert!(sample.body.contains("{id}\"")),
                None => {}
            }
        }
    }
}
