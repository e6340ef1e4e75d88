//! The delivery counts of this replica's webhooks, for the replica that adds them up.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;

use super::handlers::json_response;
use super::view::{TalliesView, WebhookTally};
use super::{DeliveryApi, query};
use crate::admin::error::AdminError;
use crate::admin::guard::AdminCaller;
use crate::admin::overview::view::LastHour;
use crate::plan::Counted;
use crate::routes::{Id, Route};
use crate::source::{Right, Tallies as _, Verb};

/// `GET /api/tallies`. Contains the existing webhooks with counts.
pub async fn tallies(
    State(api): State<Arc<DeliveryApi>>,
    caller: AdminCaller,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let query::TalliesQuery { namespace, last_hour } =
        query::tallies(query.as_deref().unwrap_or_default())?;
    let right = Right { verb: Verb::List, namespace: namespace.clone(), webhook: None };
    api.guard.require(&caller, right).await?;
    let counted = api.tallies.count().await.map_err(AdminError::Unavailable)?;
    let items = counted.into_iter().filter_map(|(id, counted)| {
        let route = api.routes.get(id)?;
        let is_selected = namespace.as_deref().is_none_or(|name| *name == *route.app.namespace);
        is_selected.then(|| WebhookTally {
            last_hour: last_hour.then(|| api.last_hour(id)).flatten(),
            ..tally(&route, &counted)
        })
    });
    Ok(json_response(StatusCode::OK, &TalliesView { items: items.collect() }))
}

impl DeliveryApi {
    fn last_hour(&self, id: Id) -> Option<LastHour> {
        let counts = self.routes.meters()?.webhooks.find(id)?;
        Some(LastHour::of(&counts.rates((self.clock)())))
    }
}

fn tally(route: &Route, counted: &Counted) -> WebhookTally {
    WebhookTally {
        namespace: route.app.namespace.clone(),
        app: route.app.name.clone(),
        webhook: route.name.clone(),
        deliveries: counted.deliveries,
        last_delivery: counted.last_delivery().map(|time| SystemTime::from(time.0).into()),
        last_hour: None,
    }
}
