//! The webhooks under load: how each is declared, how fast it is sent to, what its listener makes of
//! an event, and what its events look like.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use serde::Deserialize;
use serde_json::json;

/// The whole time that a listener has for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// The header that names an event to be sent more than once.
pub const KEY_HEADER: &str = "X-Delivery";

const NAMESPACE: &str = "default";
/// A listener that is down for a while must not use up the attempts.
const MAX_ATTEMPTS: u32 = 100;
/// Bytes of one piece of a pad.
const PIECE: usize = 32;

/// A webhook under load.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub name: &'static str,
    /// One of two.
    app: usize,
    /// Whether its events may not overtake each other; it has one sender then.
    pub fifo: bool,
    /// Whether its events are named, and sent more than once.
    pub repeated: bool,
    pub senders: usize,
    /// Between two events of a sender.
    pub pause: Duration,
    /// The sizes of its events.
    bytes: Range<usize>,
    /// Of how many events the listener refuses one for good.
    refused: Option<u64>,
}

const SMALL: Range<usize> = 0..2_000;
/// Beyond what is read with a lease, and beyond it by far.
const LARGE: Range<usize> = 40_000..4_000_000;
const USUAL: Webhook = Webhook {
    name: "",
    app: 0,
    fifo: false,
    repeated: false,
    senders: 1,
    pause: Duration::from_millis(25),
    bytes: SMALL,
    refused: None,
};

/// All of them. An index into this is what identifies a webhook here.
pub const WEBHOOKS: [Webhook; 7] = [
    Webhook { name: "parallel-a", senders: 4, ..USUAL },
    Webhook { name: "parallel-b", app: 1, senders: 4, ..USUAL },
    Webhook { name: "large", app: 1, pause: Duration::from_millis(400), bytes: LARGE, ..USUAL },
    Webhook { name: "fifo-a", fifo: true, ..USUAL },
    Webhook { name: "fifo-b", app: 1, fifo: true, refused: Some(5), ..USUAL },
    Webhook { name: "repeated", repeated: true, senders: 3, ..USUAL },
    Webhook { name: "refused", app: 1, refused: Some(1), ..USUAL },
];

impl Webhook {
    /// Whether the listener refuses the event of this number.
    pub fn refuses(&self, number: u64) -> bool {
        self.refused.is_some_and(|every| number.is_multiple_of(every))
    }
}

/// The path of a webhook's URL.
pub fn trigger_path(webhook: usize) -> String {
    format!("/apps/{}/webhooks/{}", app_uuid(WEBHOOKS[webhook].app), webhook_uuid(webhook))
}

/// The webhook that has this UUID.
pub fn by_uuid(uuid: &str) -> Option<usize> {
    (0..WEBHOOKS.len()).find(|&webhook| webhook_uuid(webhook) == uuid)
}

/// Both apps and all webhooks as manifests, in JSON, which is YAML too.
pub fn manifests(listener_url: &str) -> String {
    let apps = (0..2).map(|app| self::app(app, listener_url).to_string());
    let webhooks = (0..WEBHOOKS.len()).map(|webhook| self::webhook(webhook).to_string());
    apps.chain(webhooks).collect::<Vec<_>>().join("\n---\n")
}

fn app(app: usize, listener_url: &str) -> serde_json::Value {
    json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "WebhookApp",
        "metadata": {"name": format!("app-{app}"), "namespace": NAMESPACE},
        "spec": {
            "uuid": app_uuid(app),
            "listener": {"url": listener_url, "timeout": format!("{}s", TIMEOUT.as_secs())},
            "delivery": {
                "retry": {"schedule": ["100ms", "300ms", "1s"], "maxAttempts": MAX_ATTEMPTS},
            },
        },
    })
}

fn webhook(index: usize) -> serde_json::Value {
    let webhook = &WEBHOOKS[index];
    let ordering = if webhook.fifo { "Fifo" } else { "Parallel" };
    let mut manifest = json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "Webhook",
        "metadata": {"name": webhook.name, "namespace": NAMESPACE},
        "spec": {
            "app": format!("app-{}", webhook.app),
            "action": "a",
            "uuid": webhook_uuid(index),
            "delivery": {"mode": "Queued", "ordering": ordering},
        },
    });
    if webhook.repeated {
        manifest["spec"]["dedup"] = json!({"header": KEY_HEADER});
    }
    manifest
}

fn app_uuid(app: usize) -> String {
    format!("c0000000-0000-4000-8000-{app:012x}")
}

fn webhook_uuid(webhook: usize) -> String {
    format!("c0000000-0000-4000-9000-{webhook:012x}")
}

/// What the listener reads of a call's body.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub event: Event<'a>,
}

/// An event: its number, and a pad that shows whether it came through whole.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    pub number: u64,
    pad: &'a str,
}

impl Event<'_> {
    /// Whether it is what was sent: a large one can be looked at without making it anew.
    pub fn is_whole(&self, webhook: usize) -> bool {
        self.pad == pad(webhook, self.number)
    }
}

/// The event of a number, as it is sent.
pub fn event(webhook: usize, number: u64) -> String {
    format!(r#"{{"number":{number},"pad":"{}"}}"#, pad(webhook, number))
}

/// Each piece says where it belongs.
fn pad(webhook: usize, number: u64) -> String {
    let seed = (webhook as u64) << 48 ^ number;
    let bytes = Rng::with_seed(seed).usize(WEBHOOKS[webhook].bytes.clone());
    (0..bytes / PIECE).fold(String::with_capacity(bytes), |mut pad, piece| {
        write!(pad, "{seed:016x}{piece:016x}").expect("a string takes everything");
        pad
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_whole_only_in_its_own_place_and_to_its_last_byte() {
        let sent = event(2, 7);
        assert!(sent.len() > 39_000 && sent.len() < 4_000_100, "{}", sent.len());
        let read: Event<'_> = serde_json::from_str(&sent).unwrap();
        assert!(read.is_whole(2) && !read.is_whole(3));
        let cut = Event { number: 7, pad: &read.pad[PIECE..] };
        assert!(!cut.is_whole(2));
    }

    #[test]
    fn one_sender_sends_to_a_webhook_that_keeps_the_order() {
        assert!(WEBHOOKS.iter().all(|webhook| !webhook.fifo || webhook.senders == 1));
        assert_eq!(by_uuid(&webhook_uuid(3)), Some(3));
        assert_eq!(by_uuid("c0000000-0000-4000-9000-0000000000ff"), None);
    }
}
