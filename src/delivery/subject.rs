//! The webhook of a listener call: from its resource, or from the store after the resource was
//! deleted.

use bytes::Bytes;
use uuid::Uuid;

use crate::routes::{App, Id, Route};
use crate::store::StoredWebhook;

/// The webhook that a call is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its app.
    pub app: &'a App,
    /// Its UUID.
    pub webhook: Uuid,
    /// Its resource name.
    pub name: &'a str,
    /// Its action.
    pub action: &'a str,
    /// Its props as JSON text.
    pub props: &'a Bytes,
}

impl<'a> Subject<'a> {
    /// A webhook whose resource was deleted.
    pub fn stored(app: &'a App, webhook: &'a StoredWebhook) -> Self {
        let StoredWebhook { uuid, name, action, props, .. } = webhook;
        Self { app, webhook: *uuid, name, action, props }
    }

    /// A webhook with its current spec, for a call of this app.
    pub fn present(app: &'a App, route: &'a Route) -> Self {
        let binding = &route.binding;
        let (name, action, props) = (&route.name, &binding.action, &binding.props);
        Self { app, webhook: route.webhook, name, action, props }
    }

    /// The UUIDs of app and webhook.
    pub fn id(&self) -> Id {
        Id { app: self.app.uuid, webhook: self.webhook }
    }
}
