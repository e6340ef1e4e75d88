//! What a listener call says of the webhook: the same, whether it is there or what is left of it.

use bytes::Bytes;
use uuid::Uuid;

use crate::routes::{App, Route};
use crate::store::StoredWebhook;

/// The webhook that a call is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its app.
    pub app: &'a App,
    /// Its UUID.
    pub webhook: Uuid,
    /// Its action.
    pub action: &'a str,
    /// Its props as JSON text.
    pub props: &'a Bytes,
}

impl<'a> Subject<'a> {
    /// A webhook whose resource is gone.
    pub fn stored(app: &'a App, webhook: &'a StoredWebhook) -> Self {
        Self { app, webhook: webhook.uuid, action: &webhook.action, props: &webhook.props }
    }

    /// A webhook as its spec says now, for a call of this app.
    pub fn present(app: &'a App, route: &'a Route) -> Self {
        let binding = &route.binding;
        Self { app, webhook: route.webhook, action: &binding.action, props: &binding.props }
    }
}
