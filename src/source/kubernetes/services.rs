//! Fetches Services when an app starts referencing them: their watch may have reported them long
//! before.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::select;
use tokio::time::sleep;

use super::backoff::delay;
use super::call::{CallError, call};
use super::kinds::WatchedKind;
use crate::plan::input::SERVICE_NAME_LABEL;
use crate::plan::{Change, Key};
use crate::source::PlanRunner;

/// How many Services are fetched concurrently.
const CONCURRENCY: usize = 8;

/// The longest delay before a failed fetch is retried.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Fetches queued Services, for ever.
pub async fn fetch_queued(client: &Client, runner: &Arc<PlanRunner>) {
    let mut fetches = FuturesUnordered::new();
    loop {
        select! {
            service = runner.service_lookups().take(), if fetches.len() < CONCURRENCY => {
                fetches.push(fetch_until_current(client, runner, service));
            }
            Some(()) = fetches.next() => {}
        }
    }
}

/// Retries until the Service is up to date, or no longer referenced.
async fn fetch_until_current(client: &Client, runner: &PlanRunner, service: Key) {
    let mut failures = 0;
    loop {
        let version = runner.planner().services().version(&service);
        let Some(version) = version else { return };
        match fetch(client, &service).await {
            Ok(found) => {
                if runner.apply_if(&service, version, found) {
                    return;
                }
                // The watches may have reported a newer state meanwhile: fetch again.
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%service, %error, "cannot fetch a Service");
                sleep(delay(failures, MAX_BACKOFF)).await;
            }
        }
    }
}

/// The Service and its EndpointSlices. Uses lists, which need no permission beyond those of the
/// watches.
async fn fetch(client: &Client, service: &Key) -> Result<Vec<Change>, CallError> {
    let by_name = ListParams::default().fields(&format!("metadata.name={}", service.name));
    let by_label = ListParams::default().labels(&format!("{SERVICE_NAME_LABEL}={}", service.name));
    let mut changes = list::<Service>(client, service, by_name).await?;
    changes.extend(list::<EndpointSlice>(client, service, by_label).await?);
    changes.push(Change::ServiceSettled(service.clone()));
    Ok(changes)
}

async fn list<K>(
    client: &Client,
    service: &Key,
    params: ListParams,
) -> Result<Vec<Change>, CallError>
where
    K: WatchedKind + Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let api = Api::<K>::namespaced(client.clone(), &service.namespace);
    Ok(call(api.list(&params)).await?.into_iter().map(K::into_change).collect())
}
