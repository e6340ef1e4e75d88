//! Input of the planner: resources, reduced to the fields that routes and statuses depend on.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::{EndpointConditions, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use uuid::Uuid;

use super::guards::{self, Fault};
use super::instance::{TOKEN_GENERATION, instance};
use super::secrets::SecretInput;
use super::{Observed, delivery, duration, expressions, responses};
use crate::event::{BodyRule, FormField};
use crate::resources::verify::VerifyEntry;
use crate::resources::{BodyConversion, BodyType, Envelope, Listener, Scheme, Webhook, WebhookApp};
use crate::retry::Policy;
use crate::routes::{Binding, Delivery, Transform};

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from a namespace and a name.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a namespaced object.
    pub fn of(object: &impl kube::Resource) -> Self {
        Self::new(object.namespace().unwrap_or_default(), object.name_any())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kinds with a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `WebhookApp`.
    WebhookApp,
    /// `Webhook`.
    Webhook,
}

impl Kind {
    /// The kind as written in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebhookApp => "WebhookApp",
            Self::Webhook => "Webhook",
        }
    }
}

/// Reference to an object with a status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub key: Key,
}

/// A change of a resource.
#[derive(Clone, Debug)]
pub enum Change {
    /// A `WebhookApp` was added or modified.
    App(AppInput),
    /// A `WebhookApp` was deleted.
    AppGone(Key),
    /// A `Webhook` was added or modified.
    Webhook(WebhookInput),
    /// A `Webhook` was deleted.
    WebhookGone(Key),
    /// A `Service` was added or modified.
    Service(ServiceInput),
    /// A `Secret` was added or modified.
    Secret(SecretInput),
    /// A `Secret` was deleted, or cannot be read.
    SecretGone(Key),
    /// A `Service` was deleted.
    ServiceGone(Key),
    /// An `EndpointSlice` was added or modified.
    Slice(SliceInput),
    /// An `EndpointSlice` was deleted.
    SliceGone(Key),
    /// The look-up of a `Service` that apps reference has finished.
    ServiceSettled(Key),
}

impl Change {
    /// The object that changed.
    pub fn key(&self) -> &Key {
        match self {
            Self::App(input) => &input.meta.key,
            Self::Webhook(input) => &input.meta.key,
            Self::Service(input) => &input.key,
            Self::Slice(input) => &input.key,
            Self::Secret(input) => &input.key,
            Self::AppGone(key)
            | Self::WebhookGone(key)
            | Self::ServiceGone(key)
            | Self::SecretGone(key)
            | Self::SliceGone(key)
            | Self::ServiceSettled(key) => key,
        }
    }
}

/// Metadata of both kinds.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// Namespace and name.
    pub key: Key,
    /// `creationTimestamp`, in seconds since 1970: of two objects with one UUID, the older keeps
    /// it.
    pub created: i64,
    /// `metadata.generation`.
    pub generation: i64,
    /// The status that was last observed.
    pub observed: Observed,
}

impl Meta {
    /// Metadata of an object with this observed status.
    pub fn of(object: &impl kube::Resource, observed: Observed) -> Self {
        let created = object.creation_timestamp();
        Self {
            key: Key::of(object),
            created: created.map_or(0, |time| time.0.as_second()),
            generation: object.meta().generation.unwrap_or(1),
            observed,
        }
    }
}

/// A `WebhookApp`.
#[derive(Clone, Debug, PartialEq)]
pub struct AppInput {
    /// Metadata.
    pub meta: Meta,
    /// `metadata.uid`, if known: used in the owner references of the app's webhooks.
    pub uid: Option<Box<str>>,
    /// Digest that tokens of the app are bound to in addition to its name, see [`instance`].
    pub instance: Box<str>,
    /// The spec, or why it is invalid.
    pub spec: Result<Arc<AppSpec>, Arc<str>>,
}

/// The spec of a `WebhookApp`.
#[derive(Clone, Debug, PartialEq)]
pub struct AppSpec {
    /// `spec.uuid`.
    pub uuid: Option<Uuid>,
    /// `spec.environmentId`.
    pub environment_id: i64,
    /// `spec.listener.service` or `spec.listener.url`.
    pub endpoint: Endpoint,
    /// `spec.listener.envelope`.
    pub envelope: Envelope,
    /// `spec.listener.timeout`.
    pub timeout: Duration,
    /// `spec.delivery.concurrency`.
    pub concurrency: usize,
    /// `spec.delivery.retry`.
    pub retry: Arc<Policy>,
    /// `spec.serviceAccounts`.
    pub service_accounts: Vec<String>,
}

/// Address of a listener.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// A Service of the app's namespace.
    Service {
        /// Its name.
        name: Arc<str>,
        /// Its port.
        port: IntOrString,
        /// Path of the call.
        path: Arc<str>,
        /// `http` or `https`.
        scheme: Scheme,
    },
    /// An absolute URL.
    Url(Arc<str>),
}

/// A `Webhook`.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookInput {
    /// Metadata.
    pub meta: Meta,
    /// The spec, or why it is invalid.
    pub spec: Result<WebhookSpec, Arc<str>>,
}

/// The spec of a `Webhook`; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookSpec {
    /// `spec.app`.
    pub app: Arc<str>,
    /// `spec.uuid`.
    pub uuid: Option<Uuid>,
    /// `spec.userId`.
    pub user_id: Option<i64>,
    /// `spec.suspend`.
    pub suspend: bool,
    /// `spec.action`, `spec.props` and the other fields that a trigger needs.
    pub binding: Arc<Binding>,
    /// `spec.verify`; `None` if it is empty.
    pub verify: Option<Arc<[VerifyEntry]>>,
    /// The first mistake in the other fields; the webhook then rejects triggers.
    pub fault: Option<Arc<Fault>>,
}

/// The fields of a `Service` that a listener's address depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceInput {
    /// Namespace and name.
    pub key: Key,
    /// How it is reached.
    pub address: ServiceAddress,
    /// Whether it has a selector. Otherwise its endpoints are written by hand.
    pub has_selector: bool,
    /// Whether its first IP family is IPv6.
    pub prefers_ipv6: bool,
    /// Its TCP ports.
    pub ports: Vec<ServicePort>,
}

/// How a `Service` is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceAddress {
    /// By its cluster IP.
    ClusterIp(IpAddr),
    /// By its DNS name.
    Headless,
    /// Type ExternalName: refused.
    ExternalName,
}

/// A TCP port of a `Service` or of an `EndpointSlice`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePort {
    /// Its name; empty if it has none.
    pub name: Box<str>,
    /// Its number.
    pub port: u16,
}

/// The fields of an `EndpointSlice` that calls depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceInput {
    /// Namespace and name of the slice.
    pub key: Key,
    /// The Service that owns it.
    pub service: Arc<str>,
    /// Its ports; the numbers are target ports.
    pub ports: Vec<ServicePort>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointInput>,
}

/// An endpoint of an `EndpointSlice`.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointInput {
    /// Its address.
    pub address: IpAddr,
    /// Whether its `targetRef` names a Pod of the slice's namespace.
    pub is_pod: bool,
    conditions: EndpointConditions,
}

impl EndpointInput {
    /// Whether it is ready. A missing condition means ready.
    pub fn is_ready(&self) -> bool {
        self.conditions.ready.unwrap_or(true)
    }

    /// Whether it is terminating and still serving.
    pub fn still_serves(&self) -> bool {
        let EndpointConditions { ready, serving, terminating } = self.conditions;
        terminating == Some(true) && serving.or(ready).unwrap_or(true)
    }
}

fn instance_of(metadata: &ObjectMeta) -> Box<str> {
    let annotations = metadata.annotations.as_ref();
    let generation = annotations.and_then(|annotations| annotations.get(TOKEN_GENERATION));
    instance(metadata.uid.as_deref(), generation.map(String::as_str))
}

impl AppInput {
    /// Input of an app.
    pub fn of(app: &WebhookApp) -> Self {
        let observed = app.status.as_ref().map(Observed::of_app).unwrap_or_default();
        Self {
            meta: Meta::of(app, observed),
            uid: app.uid().map(Into::into),
            instance: instance_of(&app.metadata),
            spec: app_spec(app).map(Arc::new),
        }
    }

    /// Input of an app with an invalid spec.
    pub fn malformed(metadata: &ObjectMeta, meta: Meta, why: &str) -> Self {
        Self {
            meta,
            uid: metadata.uid.as_deref().map(Into::into),
            instance: instance_of(metadata),
            spec: Err(why.into()),
        }
    }
}

impl WebhookInput {
    /// Input of a webhook.
    pub fn of(webhook: &Webhook) -> Self {
        let observed = webhook.status.as_ref().map(Observed::of_webhook).unwrap_or_default();
        Self { meta: Meta::of(webhook, observed), spec: webhook_spec(webhook) }
    }
}

impl WebhookSpec {
    /// Keeps the state of the rate limiter of `before`, the same webhook, if the rate is unchanged.
    pub fn count_on(&mut self, before: &Self) {
        let rate = |binding: &Binding| binding.guards.as_ref()?.rate.clone();
        let Some(used) = rate(&before.binding) else { return };
        if rate(&self.binding).as_ref() == Some(&used)
            && let Some(guards) = &mut Arc::make_mut(&mut self.binding).guards
        {
            guards.rate = Some(used);
        }
    }
}

impl ServiceInput {
    /// Input of a Service.
    pub fn of(service: &k8s_openapi::api::core::v1::Service) -> Self {
        let spec = service.spec.as_ref();
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
        Self {
            key: Key::of(service),
            address: spec.map_or(ServiceAddress::Headless, service_address),
            has_selector: spec
                .and_then(|spec| spec.selector.as_ref())
                .is_some_and(|of| !of.is_empty()),
            prefers_ipv6: spec.and_then(first_family).is_some_and(|family| family == "IPv6"),
            ports: ports
                .iter()
                .filter_map(|port| {
                    tcp_port(port.name.as_deref(), port.protocol.as_deref(), port.port)
                })
                .collect(),
        }
    }
}

impl SliceInput {
    /// Input of an EndpointSlice; `None` if it belongs to no Service.
    pub fn of(slice: &EndpointSlice) -> Option<Self> {
        let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL)?;
        let ports = slice.ports.iter().flatten();
        let key = Key::of(slice);
        let endpoints = slice.endpoints.iter();
        Some(Self {
            endpoints: endpoints.filter_map(|found| endpoint(found, &key.namespace)).collect(),
            key,
            service: service.as_str().into(),
            ports: ports
                .filter_map(|port| {
                    tcp_port(port.name.as_deref(), port.protocol.as_deref(), port.port?)
                })
                .collect(),
        })
    }
}

/// The label of an EndpointSlice that names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Addresses of one endpoint are interchangeable, so the first one is used. Host names (address
/// type FQDN) are not accepted: their resolution is outside the operator's control.
fn endpoint(
    endpoint: &k8s_openapi::api::discovery::v1::Endpoint,
    namespace: &str,
) -> Option<EndpointInput> {
    Some(EndpointInput {
        address: endpoint.addresses.first()?.parse().ok()?,
        is_pod: endpoint.target_ref.as_ref().is_some_and(|target| is_pod_of(target, namespace)),
        conditions: endpoint.conditions.clone().unwrap_or_default(),
    })
}

/// Kubernetes' endpoint slice controller always sets kind, namespace and name, and no `apiVersion`.
fn is_pod_of(target: &ObjectReference, namespace: &str) -> bool {
    target.kind.as_deref() == Some("Pod")
        && matches!(target.api_version.as_deref(), None | Some("" | "v1"))
        && target.namespace.as_deref() == Some(namespace)
        && target.name.as_ref().is_some_and(|name| !name.is_empty())
}

fn first_family(spec: &k8s_openapi::api::core::v1::ServiceSpec) -> Option<&str> {
    spec.ip_families.as_ref()?.first().map(String::as_str)
}

fn service_address(spec: &k8s_openapi::api::core::v1::ServiceSpec) -> ServiceAddress {
    if spec.type_.as_deref() == Some("ExternalName") {
        return ServiceAddress::ExternalName;
    }
    // "None" (headless) and a missing address are not IP addresses: the DNS name is used.
    let address = spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok());
    address.map_or(ServiceAddress::Headless, ServiceAddress::ClusterIp)
}

fn tcp_port(name: Option<&str>, protocol: Option<&str>, port: i32) -> Option<ServicePort> {
    let is_tcp = protocol.is_none_or(|protocol| protocol == "TCP");
    let port = u16::try_from(port).ok().filter(|_| is_tcp)?;
    Some(ServicePort { name: name.unwrap_or_default().into(), port })
}

fn app_spec(app: &WebhookApp) -> Result<AppSpec, Arc<str>> {
    // Destructured without `..`, so that the compiler reports a new field.
    let crate::resources::WebhookAppSpec {
        uuid,
        environment_id,
        listener,
        delivery,
        service_accounts,
    } = &app.spec;
    let Listener { service, url, envelope, timeout } = listener;
    let endpoint = match (service, url) {
        (Some(service), None) => Endpoint::Service {
            name: service.name.as_str().into(),
            port: service.port.clone(),
            path: service.path.as_str().into(),
            scheme: service.scheme,
        },
        (None, Some(url)) => Endpoint::Url(url.as_str().into()),
        _ => return Err("spec.listener: exactly one of service and url must be set".into()),
    };
    let (concurrency, retry) =
        delivery::of_app(delivery.as_ref()).map_err(|fault| fault.message)?;
    Ok(AppSpec {
        uuid: parse_uuid(uuid.as_deref())?,
        environment_id: *environment_id,
        endpoint,
        envelope: *envelope,
        timeout: duration::parse(timeout).ok_or("spec.listener.timeout is not a duration")?,
        concurrency,
        retry,
        service_accounts: service_accounts.clone(),
    })
}

fn webhook_spec(webhook: &Webhook) -> Result<WebhookSpec, Arc<str>> {
    // Destructured without `..`, so that the compiler reports a new field.
    let crate::resources::WebhookSpec {
        app,
        action,
        props,
        uuid,
        user_id,
        suspend,
        max_body_bytes,
        body,
        forward_headers,
        forward_query,
        verify,
        cloud_events_origins,
        source_ranges,
        rate_limit,
        filter,
        transform,
        dedup,
        delivery,
        response,
        probes,
    } = &webhook.spec;
    let guards =
        guards::guards(source_ranges, rate_limit.as_ref(), cloud_events_origins, filter.as_deref());
    let mode = delivery.as_ref().map_or_else(Default::default, |delivery| delivery.mode);
    let delivery = delivery::of_webhook(delivery.as_ref(), dedup.as_ref(), verify);
    let props = props_text(props.as_ref());
    let transform = transform.as_deref().map(|source| expressions::transform(source, &props));
    // Stored events are delivered even if triggers are rejected, so it is kept in any case.
    let (transform, transform_fault) = match transform.transpose() {
        Ok(transform) => (transform, None),
        Err(fault) => (Some(Transform::Invalid), Some(fault)),
    };
    let (guards, delivery, fault) = match (guards, delivery) {
        (Ok(guards), Ok(delivery)) => (guards, delivery, transform_fault),
        // Triggers are rejected, so no guard and no delivery setting is used.
        (Err(fault), _) | (_, Err(fault)) => (None, Delivery::default(), Some(fault)),
    };
    let binding = Binding {
        action: action.as_str().into(),
        props,
        max_body_bytes: responses::max_body_bytes(*max_body_bytes, verify)?,
        body: body_rule(body.as_ref()),
        forward_headers: responses::forwarded(forward_headers)?,
        forward_query: *forward_query,
        probes: responses::probes(probes),
        response: responses::response(response.as_ref(), mode)?,
        transform,
        delivery,
        guards,
    };
    Ok(WebhookSpec {
        app: app.as_str().into(),
        uuid: parse_uuid(uuid.as_deref())?,
        user_id: *user_id,
        suspend: *suspend,
        binding: Arc::new(binding),
        verify: (!verify.is_empty()).then(|| verify.as_slice().into()),
        fault: fault.map(Arc::new),
    })
}

fn body_rule(body: Option<&BodyConversion>) -> BodyRule {
    let Some(BodyConversion { as_, form_field }) = body else { return BodyRule::Auto };
    match (as_, form_field) {
        (BodyType::Auto, None) => BodyRule::Auto,
        (BodyType::Auto, Some(name)) => {
            BodyRule::FormField(FormField { name: name.clone().into(), is_required: true })
        }
        (BodyType::Json, _) => BodyRule::Json,
        (BodyType::Text, _) => BodyRule::Text,
        (BodyType::Binary, _) => BodyRule::Binary,
    }
}

fn parse_uuid(text: Option<&str>) -> Result<Option<Uuid>, Arc<str>> {
    text.map(Uuid::try_parse).transpose().map_err(|_| "spec.uuid is not a UUID".into())
}

fn props_text(props: Option<&serde_json::Map<String, serde_json::Value>>) -> Bytes {
    match props {
        None => Bytes::from_static(b"null"),
        // Serialization cannot fail: the keys are strings.
        Some(props) => serde_json::to_vec(props)
            .map_or(Bytes::from_static(b"null"), |text| Bytes::from(text.into_boxed_slice())),
    }
}
