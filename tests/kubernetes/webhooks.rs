//! Webhooks that apps make and delete through the app API.

use serde_json::json;
use webhook_operator::resources::Webhook;
use webhook_operator::routes::RouteState;
use webhook_operator::source::{StoreError, WebhookStore};

use crate::fixture::{Site, app, webhook, with};
use crate::watches::state;

fn typed(site: &Site, manifest: serde_json::Value) -> Webhook {
    let placed = with(manifest, "/metadata/namespace", json!(site.namespace));
    serde_json::from_value(placed).expect("a Webhook")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_served_when_its_creation_returns_and_not_after_its_deletion() {
    let site = Site::new();
    site.apply(&app("shop"));
    let operator = site.operator().await;
    let store = operator.kubernetes.webhooks(&operator.runner);
    let (shop, key) = (site.key("shop"), site.key("made"));

    store.create(typed(&site, webhook("made", "shop"))).await.expect("made");
    assert_eq!(state(&operator.runner, &shop, &key), Some(RouteState::Serving));
    let owner = &site.get("webhook/made")["metadata"]["ownerReferences"][0];
    assert_eq!(owner["kind"], "WebhookApp");
    assert_eq!(owner["uid"], site.get("webhookapp/shop")["metadata"]["uid"]);
    assert_eq!((&owner["controller"], &owner["blockOwnerDeletion"]), (&json!(false), &json!(null)));
    site.wait("webhook/made", "Ready");

    store.delete(&key).await.expect("deleted");
    assert!(operator.runner.routes().is_empty());
    assert!(matches!(store.delete(&key).await, Err(StoreError::NotFound)));
    assert_eq!(site.kubectl(&["get", "webhooks", "-o", "name"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_schema_refuses_is_invalid_and_says_why() {
    let site = Site::new();
    site.apply(&app("shop"));
    let operator = site.operator().await;
    let store = operator.kubernetes.webhooks(&operator.runner);
    let long = with(webhook("made", "shop"), "/spec/action", json!("a".repeat(256)));
    match store.create(typed(&site, long)).await {
        Err(StoreError::Invalid(said)) => {
            assert!(said.contains("may not be more than 255"), "{said}")
        }
        other => panic!("{other:?}"),
    }
    let orphan = store.create(typed(&site, webhook("made", "nobody"))).await;
    assert!(matches!(orphan, Err(StoreError::Invalid(_))), "{orphan:?}");
}
