//! Reads the state of an operator and its resources, with the caller's permissions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join;
use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use k8s_openapi::api::core::v1::Pod as PodObject;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::observed::{Definition, Deliveries, Lease, Observed, Operator, Pod, Readiness};
use crate::admin::deliveries::view::StateView;
use crate::cli::client::cluster::Cluster;
use crate::cli::client::place::Place;
use crate::cli::client::reach::{self, ReachArgs};
use crate::cli::deliveries::{DeliveryFilter, latest};
use crate::moment::Moment;
use crate::peers;
use crate::plan::input::{EndpointInput, SERVICE_NAME_LABEL};
use crate::plan::{Key, OperatorResource, SliceInput};
use crate::resources::{WebhookApp, crds};
use crate::source::kubernetes::{DURATION_SECONDS, NAME, call};

/// Maximum number of deliveries read per state.
const DELIVERIES: usize = 1000;

/// Age limit of deliveries.
const SINCE: &str = "24h";

/// Which objects to read.
pub struct Scope {
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Only this webhook and its app.
    pub webhook: Option<String>,
}

/// Reads everything.
///
/// # Errors
/// The resources cannot be read. Other parts that cannot be read are listed in
/// [`Observed::unseen`].
pub async fn observe(place: &Place, reach: &ReachArgs, scope: &Scope) -> anyhow::Result<Observed> {
    let mut unseen = Vec::new();
    let namespace = scope.namespace.as_deref();
    let (apps, webhooks) = join(known(place, namespace), known(place, namespace)).await;
    let mut observed = Observed {
        now: Moment::now(),
        apps: apps?,
        webhooks: webhooks?,
        operator: operator(place, reach, &mut unseen).await?,
        endpoints: BTreeMap::new(),
        deliveries: None,
        unseen,
    };
    narrow(&mut observed, scope)?;
    if let Place::Cluster(cluster) = place {
        let found = endpoints(cluster, observed.apps()).await;
        observed.endpoints = or_unseen(found, &mut observed.unseen).unwrap_or_default();
    }
    let found = deliveries(place, reach, scope).await;
    observed.deliveries = or_unseen(found, &mut observed.unseen);
    Ok(observed)
}

/// The objects of a kind; `None` if the API server does not know the kind.
async fn known<K: OperatorResource>(
    place: &Place,
    namespace: Option<&str>,
) -> anyhow::Result<Option<Vec<K>>> {
    match place.list(namespace).await {
        Ok(list) => Ok(Some(list)),
        Err(error) => match error.downcast_ref::<crate::source::kubernetes::CallError>() {
            Some(cause) if cause.code() == Some(404) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Keeps only the selected objects.
fn narrow(observed: &mut Observed, scope: &Scope) -> anyhow::Result<()> {
    let Some(name) = &scope.webhook else { return Ok(()) };
    let Some(webhooks) = &mut observed.webhooks else { return Ok(()) };
    webhooks.retain(|webhook| webhook.name_any() == *name);
    if webhooks.is_empty() {
        let whose = scope.namespace.as_deref().map(|name| format!("{name}/")).unwrap_or_default();
        anyhow::bail!("Webhook {whose}{name} does not exist");
    }
    let apps: BTreeSet<_> =
        webhooks.iter().map(|webhook| (webhook.namespace(), webhook.spec.app.clone())).collect();
    if let Some(all) = &mut observed.apps {
        all.retain(|app| apps.contains(&(app.namespace(), app.name_any())));
    }
    Ok(())
}

/// A value, or `None` with the error added to the unreadable parts.
fn or_unseen<T>(found: anyhow::Result<T>, unseen: &mut Vec<String>) -> Option<T> {
    found.map_err(|why| unseen.push(format!("{why:#}"))).ok()
}

async fn operator(
    place: &Place,
    reach: &ReachArgs,
    unseen: &mut Vec<String>,
) -> anyhow::Result<Operator> {
    let Place::Cluster(cluster) = place else { return standalone(reach).await };
    let namespace = reach.operator_namespace.clone();
    let found = cluster.pods(reach).await;
    let pods = or_unseen(found, unseen).map(|pods| pods.iter().map(Pod::of).collect());
    let lease = or_unseen(lease(cluster, &namespace).await, unseen);
    let definitions = or_unseen(definitions(cluster).await, unseen);
    Ok(Operator::Cluster { namespace, pods, lease, definitions })
}

async fn standalone(reach: &ReachArgs) -> anyhow::Result<Operator> {
    let operator = reach::Operator::standalone(reach)?;
    let replica = operator.replicas.first().context("a standalone operator has one replica")?;
    let ready = replica.probe("/readyz").await;
    Ok(Operator::Standalone {
        server: replica.name.clone(),
        ready: ready
            .map(|(is_ready, said)| Readiness { is_ready, said })
            .map_err(|error| error.to_string()),
    })
}

impl Pod {
    fn of(pod: &PodObject) -> Self {
        let status = pod.status.as_ref();
        let mut conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_ready =
            conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let mut containers =
            status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let waiting = containers.find_map(|container| {
            let waiting = container.state.as_ref()?.waiting.as_ref()?;
            let message = waiting.message.as_deref().map(|message| format!(": {message}"));
            Some(format!("{}{}", waiting.reason.as_deref()?, message.unwrap_or_default()))
        });
        let phase = status.and_then(|status| status.phase.clone());
        let why = waiting.or_else(|| phase.filter(|phase| phase != "Running"));
        Self { name: pod.name_any(), is_ready, why }
    }
}

async fn lease(cluster: &Cluster, namespace: &str) -> anyhow::Result<Lease> {
    let api: Api<LeaseObject> = Api::namespaced(cluster.client.clone(), namespace);
    let found = call(api.get_opt(NAME)).await.context("cannot read the operator's lease")?;
    let Some(spec) = found.map(|lease| lease.spec.unwrap_or_default()) else {
        return Ok(Lease::Missing);
    };
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let (Some(holder), Some(renewed)) = (holder, spec.renew_time) else { return Ok(Lease::Free) };
    let seconds = spec.lease_duration_seconds.unwrap_or(DURATION_SECONDS);
    let renewed = Moment(u64::try_from(renewed.0.as_millisecond()).unwrap_or(0));
    let until = renewed + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Ok(Lease::Held { holder: peers::name_of(&holder).to_owned(), until })
}

async fn definitions(cluster: &Cluster) -> anyhow::Result<Vec<(String, Definition)>> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut found = Vec::new();
    for ours in crds::all() {
        let name = ours.name_any();
        let theirs = call(api.get_opt(&name)).await;
        let theirs = theirs.context("cannot read the CustomResourceDefinitions")?;
        let schemas = |crd: &CustomResourceDefinition| -> Vec<_> {
            crd.spec
                .versions
                .iter()
                .map(|version| (version.name.clone(), version.schema.clone()))
                .collect()
        };
        let definition = match theirs {
            None => Definition::Missing,
            Some(theirs) if schemas(&theirs) == schemas(&ours) => Definition::Same,
            Some(_) => Definition::Other,
        };
        found.push((name, definition));
    }
    Ok(found)
}

/// The Services that apps reference, and whether each has a ready endpoint.
async fn endpoints(cluster: &Cluster, apps: &[WebhookApp]) -> anyhow::Result<BTreeMap<Key, bool>> {
    let mut services = BTreeMap::new();
    for app in apps {
        let (Some(service), Some(namespace)) = (&app.spec.listener.service, app.namespace()) else {
            continue;
        };
        let key = Key::new(namespace.as_str(), service.name.as_str());
        if services.contains_key(&key) {
            continue;
        }
        let api: Api<EndpointSlice> = Api::namespaced(cluster.client.clone(), &namespace);
        let label = format!("{SERVICE_NAME_LABEL}={}", service.name);
        let slices = call(api.list(&ListParams::default().labels(&label))).await;
        let slices = slices.context("cannot list the endpoints of listeners")?;
        let mut slices = slices.items.iter().filter_map(SliceInput::of);
        let is_ready = slices.any(|slice| slice.endpoints.iter().any(EndpointInput::is_ready));
        services.insert(key, is_ready);
    }
    Ok(services)
}

async fn deliveries(place: &Place, reach: &ReachArgs, scope: &Scope) -> anyhow::Result<Deliveries> {
    let what = "cannot read deliveries";
    let operator = place.operator(reach).await.context(what)?;
    let mut found = Deliveries::default();
    for (state, list) in [
        (StateView::Dead, &mut found.dead),
        (StateView::Pending, &mut found.pending),
        (StateView::Succeeded, &mut found.succeeded),
    ] {
        let filter = DeliveryFilter {
            namespace: scope.namespace.clone(),
            webhook: scope.webhook.clone(),
            state: Some(state),
            // Pending deliveries are read regardless of their age.
            since: (state != StateView::Pending).then(|| SINCE.into()),
            until: None,
        };
        *list = latest(&operator, &filter, DELIVERIES).await.context(what)?.items;
    }
    Ok(found)
}
