//! What is taken for a repetition of an event, over the whole pipeline: never an event that its sender tells apart
//! from the first one.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use webhook_operator::http::Networks;
use webhook_operator::moment::Moment;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::{AppInput, Change, Reach, SecretInput, WebhookInput};
use webhook_operator::routes::AppId;
use webhook_operator::source::PlanRunner;
use webhook_operator::store::{DeadReason, Queue as _};
use webhook_operator::trigger::Pipeline;

use crate::support::github::hmac_sha256;
use crate::support::model_store::ModelStore;
use crate::support::operator::{APP, WEBHOOK};
use crate::support::pipeline;

/// A queued webhook in this process, and a store in memory.
struct World {
    runner: PlanRunner,
    pipeline: Pipeline,
    queue: Arc<ModelStore>,
}

/// A trigger before it is signed.
#[derive(Clone, Debug)]
struct Trigger {
    headers: Vec<(&'static str, Vec<u8>)>,
    body: String,
}

impl Trigger {
    fn of(body: impl Into<String>) -> Self {
        Self { headers: Vec::new(), body: body.into() }
    }

    fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }
}

impl World {
    fn new(webhook: Value) -> Self {
        let listeners = ListenerPolicy {
            allow_url: true,
            addresses: pipeline::loopback(),
            reach: Reach::Address,
            ..ListenerPolicy::default()
        };
        let queue = Arc::new(ModelStore::default());
        let (runner, pipeline) =
            pipeline::with_queue(listeners, Networks::default(), queue.clone());
        let app = json!({"spec": {"uuid": APP, "listener": {"url": "http://127.0.0.1:9"}}});
        let secret = json!({"stringData": {"secret": "s"}, "data": {"secret": "cw=="}});
        runner.apply([
            Change::App(AppInput::of(&object("WebhookApp", "shop", app))),
            Change::Secret(SecretInput::of(object("Secret", "s", secret))),
        ]);
        let world = Self { runner, pipeline, queue };
        world.declare(&webhook);
        world
    }

    /// The webhook's spec has these fields from now on.
    fn declare(&self, fields: &Value) {
        let mut spec = json!({"app": "shop", "action": "paid", "uuid": WEBHOOK});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let webhook = object("Webhook", "payments", json!({"spec": spec}));
        self.runner.apply([Change::Webhook(WebhookInput::of(&webhook))]);
    }

    /// The status, the event's id, and whether it was taken for a duplicate.
    async fn send(&self, trigger: Trigger) -> (u16, String, bool) {
        let mut request = Request::post(format!("/apps/{APP}/webhooks/{WEBHOOK}"))
            .header("Content-Type", "application/json");
        for (name, value) in trigger.headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(trigger.body));
        let answer = self.pipeline.handle(request.body(body).unwrap(), None).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        (status, id, body["duplicate"] == true)
    }

    /// Every delivery is dead.
    async fn kill_pending(&self) {
        let app = AppId::new("team-a", APP.parse().unwrap());
        self.queue.give_up(app, DeadReason::Rejected, Moment(0)).await.unwrap();
    }

    async fn stores(&self, trigger: Trigger) -> String {
        let (status, id, _) = self.send(trigger.clone()).await;
        assert_eq!(status, 202, "{trigger:?}");
        id
    }

    async fn repeats(&self, trigger: Trigger, first: &str) {
        assert_eq!(self.send(trigger.clone()).await, (200, first.to_owned(), true), "{trigger:?}");
    }
}

fn object<K: DeserializeOwned>(kind: &str, name: &str, mut rest: Value) -> K {
    let version = if kind == "Secret" { "v1" } else { "lenra.io/v1alpha1" };
    rest["apiVersion"] = version.into();
    rest["kind"] = kind.into();
    rest["metadata"] = json!({"name": name, "namespace": "team-a"});
    serde_json::from_value(rest).unwrap()
}

fn json_id(id: &str) -> String {
    json!({ "id": id }).to_string()
}

#[tokio::test]
async fn a_blank_id_is_none() {
    let by_header = World::new(json!({"dedup": {"header": "X-Id"}}));
    let by_key = World::new(json!({"dedup": {"key": "event.id"}}));
    for blank in ["", " ", "\t "] {
        for _ in 0..2 {
            by_header.stores(Trigger::of("{}").with("X-Id", blank)).await;
            by_header.stores(Trigger::of("{}").with("X-Id", blank).with("X-Id", blank)).await;
            by_key.stores(Trigger::of(json_id(blank))).await;
        }
    }
    let first = by_header.stores(Trigger::of("{}").with("X-Id", "a")).await;
    by_header.repeats(Trigger::of("{}").with("X-Id", "a"), &first).await;
    let first = by_key.stores(Trigger::of(json_id("a"))).await;
    by_key.repeats(Trigger::of(json_id("a")), &first).await;
}

#[tokio::test]
async fn all_values_of_a_repeated_header_are_the_id() {
    let world = World::new(json!({"dedup": {"header": "X-Id"}}));
    let ids = |ids: &[&str]| ids.iter().fold(Trigger::of("{}"), |all, id| all.with("X-Id", id));
    let first = world.stores(ids(&["a", "b"])).await;
    for other in [&["a"][..], &["a", "c"], &["b", "a"], &["ab"], &["a", "b", ""], &["a, b"]] {
        world.stores(ids(other)).await;
    }
    world.repeats(ids(&["a", "b"]), &first).await;
}

#[tokio::test]
async fn keys_of_different_settings_are_different() {
    let world = World::new(json!({}));
    let trigger =
        || Trigger::of(r#"{"id":"a","other":"a"}"#).with("X-Id", "a").with("X-Other", "a");
    let settings = ["X-Id", "X-Other"].map(|header| json!({"dedup": {"header": header}}));
    let keys = ["event.id", "event.other"].map(|key| json!({"dedup": {"key": key}}));
    let mut firsts = Vec::new();
    for setting in settings.iter().chain(&keys) {
        world.declare(setting);
        firsts.push(world.stores(trigger()).await);
    }
    for (setting, first) in settings.iter().chain(&keys).zip(firsts) {
        world.declare(setting);
        world.repeats(trigger(), &first).await;
    }
}

#[tokio::test]
async fn numbers_and_bytes_in_a_key_are_exact_or_an_error() {
    let world = World::new(json!({"dedup": {"key": "string(event.id)"}}));
    for id in ["18446744073709551616", "18446744073709551617", "9007199254740993.0", "1e400"] {
        let (status, ..) = world.send(Trigger::of(format!(r#"{{"id":{id},"n":1}}"#))).await;
        assert_eq!(status, 422, "{id}");
    }
    for id in ["18446744073709551614", "18446744073709551615", "0.1", "1e23"] {
        let event = Trigger::of(format!(r#"{{"id":{id},"other":18446744073709551616}}"#));
        let first = world.stores(event.clone()).await;
        world.repeats(event, &first).await;
    }
    world.declare(&json!({"dedup": {"key": "headers['x-id']"}}));
    for id in [&b"\xe8"[..], b"\xe9", b"\xef\xbf\xbd"] {
        let first = world.stores(Trigger::of("{}").with("X-Id", id)).await;
        world.repeats(Trigger::of("{}").with("X-Id", id), &first).await;
    }
}

/// What a webhook compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum By {
    GitHub,
    Gitea,
    GitLab,
    Bitbucket,
    Stripe,
    Header,
    Key,
    OtherKey,
}

const PROVIDERS: [By; 5] = [By::GitHub, By::Gitea, By::GitLab, By::Bitbucket, By::Stripe];

/// An event as its sender knows it.
#[derive(Clone, Debug)]
struct Sent {
    by: By,
    /// The webhook verifies all providers, not only this one.
    among_others: bool,
    hook: Option<usize>,
    ids: Vec<usize>,
    /// What is pending is dead before this one comes.
    after_death: bool,
}

const IDS: [&str; 10] = ["", " ", "\t", "a", "b", "a b", "1:a", "é", "1", "1 a"];

impl By {
    fn spec(self, among_others: bool) -> Value {
        let entry = |by: Self| json!({"type": format!("{by:?}"), "secretRefs": [{"name": "s", "key": "secret"}]});
        match self {
            Self::Header => json!({"dedup": {"header": "X-GitHub-Delivery"}}),
            Self::Key => json!({"dedup": {"key": "event.id"}}),
            Self::OtherKey => json!({"dedup": {"key": "string(event.id)"}}),
            _ if among_others => json!({"verify": PROVIDERS.map(entry)}),
            _ => json!({"verify": [entry(self)]}),
        }
    }

    fn header(self) -> Option<&'static str> {
        match self {
            Self::GitHub | Self::Header => Some("X-GitHub-Delivery"),
            Self::Gitea => Some("X-Gitea-Delivery"),
            Self::GitLab => Some("Idempotency-Key"),
            Self::Bitbucket => Some("X-Request-UUID"),
            Self::Stripe | Self::Key | Self::OtherKey => None,
        }
    }

    fn sign(self, trigger: Trigger) -> Trigger {
        let signature = hmac_sha256("s", &trigger.body);
        match self {
            Self::GitHub => trigger.with("X-Hub-Signature-256", format!("sha256={signature}")),
            Self::Gitea => trigger.with("X-Gitea-Signature", signature),
            Self::GitLab => trigger.with("X-Gitlab-Token", "s"),
            Self::Bitbucket => trigger.with("X-Hub-Signature", format!("sha256={signature}")),
            Self::Stripe => {
                let signature = hmac_sha256("s", format!("0.{}", trigger.body));
                trigger.with("Stripe-Signature", format!("t=0,v1={signature}"))
            }
            Self::Header | Self::Key | Self::OtherKey => trigger,
        }
    }
}

impl Sent {
    fn ids(&self) -> Vec<&'static str> {
        // A member has one value.
        let most = if self.by.header().is_some() { 2 } else { 1 };
        self.ids.iter().take(most).map(|id| IDS[*id]).collect()
    }

    /// What the sender tells it apart by; `None` if it has no id.
    fn name(&self) -> Option<(By, Option<usize>, Vec<&'static str>)> {
        let has_id = self.ids().iter().any(|id| !id.trim().is_empty());
        let hook = self.hook.filter(|_| self.by == By::GitHub);
        has_id.then(|| (self.by, hook, self.ids()))
    }

    /// Whether its repetition has to be found: providers send one id, of one header.
    fn is_named_well(&self) -> bool {
        !PROVIDERS.contains(&self.by)
            || self.ids().len() == 1 && self.ids()[0].is_ascii() && self.hook.is_none()
    }

    fn trigger(&self) -> Trigger {
        let mut trigger = Trigger::of(json_id(self.ids().first().copied().unwrap_or_default()));
        if let Some(name) = self.by.header() {
            trigger = self.ids().iter().fold(trigger, |all, id| all.with(name, id));
        }
        if let Some(hook) = self.hook {
            trigger = trigger.with("X-GitHub-Hook-ID", IDS[hook]);
        }
        self.by.sign(trigger)
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let by = PROVIDERS.into_iter().chain([By::Header, By::Key, By::OtherKey]).collect::<Vec<_>>();
    let hook = proptest::option::of(0..IDS.len());
    let ids = proptest::collection::vec(0..IDS.len(), 0..3);
    let after_death = proptest::bool::weighted(0.1);
    (proptest::sample::select(by), any::<bool>(), hook, ids, after_death).prop_map(
        |(by, among_others, hook, ids, after_death)| Sent {
            by,
            among_others,
            hook,
            ids,
            after_death,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each event is stored, unless an earlier one has the same id and the id is not blank.
    #[test]
    fn only_an_equal_id_makes_a_repetition(events in proptest::collection::vec(sent(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new(json!({}));
            let mut names = HashMap::new();
            for event in events {
                world.declare(&event.by.spec(event.among_others));
                if event.after_death {
                    world.kill_pending().await;
                }
                let name = event.name();
                let (status, id, is_duplicate) = world.send(event.trigger()).await;
                assert_eq!(status, if is_duplicate { 200 } else { 202 }, "{event:?}");
                let is_known = name.is_some() && names.values().any(|known| *known == name);
                match names.get(&id) {
                    Some(first) => assert!(is_known && *first == name, "{first:?} {event:?}"),
                    None => {
                        let is_lost = is_duplicate || is_known && event.is_named_well();
                        assert!(!is_lost, "{event:?}");
                        names.insert(id, name);
                    }
                }
            }
        });
    }
}
