//! The webhook of a listener call: from its resource, or from the store after the resource was
//! deleted.

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
    /// A webhook whose resource was deleted.
    pub fn stored(app: &'a App, webhook: &'a StoredWebhook) -> Self {
        Self { app, webhook: webhook.uuid, action: &webhook.action, props: &webhook.props }
    }

    /// A webhook with its current spec, for a call of this app.
    pub fn present(app: &'a App, route: &'a Route) -> Self {
        let binding = &route.binding;
        Self { app, webhook: route.webhook, action: &binding.action, props: &binding.props }
    }
}
