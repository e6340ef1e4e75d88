//! The decisions: ordered lists of checks, each with a reason that a user can act on.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use url::Url;

use super::address::{AddressPolicy, AddressRefusal};
use super::endpoints::{self, ManualEndpoints};
use super::input::{
    AppSpec, Endpoint, Key, ServiceAddress, ServiceInput, ServicePort, SliceInput, WebhookSpec,
};
use super::services::{Known, Reach};
use crate::resources::Scheme;
use crate::resources::conditions::{ACCEPTING_TRIGGERS, Verdict};
use crate::resources::reason::StalledReason;
use crate::routes::{Endpoints, Host, NamedBy, Origin, Target, Upstream};

/// Listener settings from the operator's flags.
#[derive(Clone, Debug, Default)]
pub struct ListenerPolicy {
    /// Whether `listener.url` is allowed.
    pub allow_url: bool,
    /// Addresses that the operator may connect to.
    pub addresses: AddressPolicy,
    /// How Services are reached.
    pub reach: Reach,
    /// Whether endpoints other than selected Pods are called.
    pub manual_endpoints: ManualEndpoints,
}

/// The resolved listener of an app.
#[derive(Debug)]
pub struct Found {
    /// Fixed properties of the listener.
    pub target: Target,
    /// Ready endpoints; empty unless the listener is reached by the endpoints of a Service.
    pub ready: Vec<Origin>,
}

/// Resolves an app's listener. `cell` will hold its ready endpoints; `slices` are the
/// EndpointSlices of its Service.
///
/// # Errors
/// A verdict that says what to change, or that a Service is still being loaded.
pub fn target<'a>(
    app: &Key,
    spec: &AppSpec,
    service: Known<'_>,
    slices: impl Iterator<Item = &'a SliceInput>,
    cell: &Arc<Endpoints>,
    policy: &ListenerPolicy,
) -> Result<Found, Verdict> {
    match &spec.endpoint {
        Endpoint::Service { name, port, path, scheme } => {
            let service = existing(app, name, service)?;
            let port = service_port(service, port)?;
            let name = service_name(service, &app.namespace)?;
            let authority = format!("{name}:{}", port.port);
            let origin = |host, port| Origin {
                scheme: *scheme,
                host,
                port,
                server_name: name.clone(),
                named_by: NamedBy::Service,
            };
            if policy.reach == Reach::Address {
                let upstream = Upstream::Origin(Arc::new(origin(host(service, &name), port.port)));
                return found(new_target(upstream, &authority, path)?, Vec::new(), policy);
            }
            let slices: Vec<_> = slices.collect();
            endpoints_allowed(service, &slices, policy)?;
            let ready = endpoints::addresses(service, port, &slices, policy.manual_endpoints);
            let ready = ready.iter().map(|to| origin(Host::Address(to.ip()), to.port())).collect();
            found(new_target(Upstream::Endpoints(cell.clone()), &authority, path)?, ready, policy)
        }
        Endpoint::Url(url) => found(url_target(&url_allowed(url, policy)?)?, Vec::new(), policy),
    }
}

fn found(target: Target, ready: Vec<Origin>, policy: &ListenerPolicy) -> Result<Found, Verdict> {
    Ok(Found { target: address_allowed(target, &policy.addresses)?, ready })
}

fn new_target(upstream: Upstream, authority: &str, path: &str) -> Result<Target, Verdict> {
    let authority =
        authority.parse().map_err(|_| invalid_url("its host is not a valid header value"))?;
    let path = path.parse().map_err(|_| invalid_url("its path is not valid"))?;
    Ok(Target { upstream, authority, path })
}

fn existing<'a>(app: &Key, name: &str, known: Known<'a>) -> Result<&'a ServiceInput, Verdict> {
    match known {
        Known::There(service) => Ok(service),
        Known::NotYet => Err(Verdict::Reconciling {
            message: format!("loading Service {name} and its endpoints"),
        }),
        Known::Missing => Err(Verdict::stalled(
            StalledReason::ServiceNotFound,
            format!("Service {name} does not exist in namespace {}", app.namespace),
        )),
    }
}

fn service_port<'a>(
    service: &'a ServiceInput,
    wanted: &IntOrString,
) -> Result<&'a ServicePort, Verdict> {
    let found = service.ports.iter().find(|port| match wanted {
        IntOrString::Int(number) => i32::from(port.port) == *number,
        IntOrString::String(name) => *port.name == **name,
    });
    found.ok_or_else(|| {
        let wanted = match wanted {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(name) => format!("{name:?}"),
        };
        let ports = service.ports.iter().map(|port| match &*port.name {
            "" => port.port.to_string(),
            name => format!("{} ({name})", port.port),
        });
        let ports = ports.collect::<Vec<_>>().join(", ");
        let ports = if ports.is_empty() { "none".into() } else { ports };
        let name = &service.key.name;
        Verdict::stalled(
            StalledReason::PortNotFound,
            format!("Service {name} has no TCP port {wanted}; it has: {ports}"),
        )
    })
}

/// DNS name of a Service in the cluster.
fn service_name(service: &ServiceInput, namespace: &str) -> Result<Arc<str>, Verdict> {
    let name = &service.key.name;
    match service.address {
        ServiceAddress::ExternalName => Err(Verdict::stalled(
            StalledReason::ServiceTypeNotSupported,
            format!("Service {name} is of type ExternalName, which points outside the namespace"),
        )),
        _ => Ok(format!("{name}.{namespace}.svc").into()),
    }
}

/// A Service without usable Pods stalls the app: otherwise its triggers would get 503 for a reason
/// that the tenant cannot see.
fn endpoints_allowed(
    service: &ServiceInput,
    slices: &[&SliceInput],
    policy: &ListenerPolicy,
) -> Result<(), Verdict> {
    if policy.manual_endpoints == ManualEndpoints::Allowed
        || !endpoints::are_all_manual(service, slices)
    {
        return Ok(());
    }
    let Key { namespace, name } = &service.key;
    let why = if service.has_selector {
        format!("no endpoint of Service {name} names a Pod of namespace {namespace}")
    } else {
        format!("Service {name} has no selector")
    };
    Err(Verdict::stalled(
        StalledReason::ManualEndpointsNotAllowed,
        format!(
            "{why}, and this operator calls only Pods that a Service selects: give the Service a selector, \
             or have the operator started with --listener-allow-manual-endpoints"
        ),
    ))
}

fn host(service: &ServiceInput, name: &Arc<str>) -> Host {
    match service.address {
        ServiceAddress::ClusterIp(address) => Host::Address(address),
        _ => Host::Name(name.clone()),
    }
}

fn url_allowed(url: &str, policy: &ListenerPolicy) -> Result<Url, Verdict> {
    if !policy.allow_url {
        return Err(Verdict::stalled(
            StalledReason::ListenerUrlNotAllowed,
            "listener.url is not allowed by this operator: name a Service instead, or start it with --listener-allow-url",
        ));
    }
    Url::parse(url).map_err(|error| invalid_url(&error.to_string()))
}

fn url_target(url: &Url) -> Result<Target, Verdict> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid_url("it has a user name or a password"));
    }
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(invalid_url("its scheme is neither http nor https")),
    };
    let host = url.host().map(Host::from).ok_or_else(|| invalid_url("it has no host"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    // Without the brackets of an IPv6 address in a URL: certificates have none.
    let server_name = host.to_string().into();
    let origin = Origin { scheme, host, port, server_name, named_by: NamedBy::Url };
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let upstream = Upstream::Origin(Arc::new(origin));
    new_target(upstream, authority, &url[url::Position::BeforePath..url::Position::AfterQuery])
}

fn invalid_url(why: &str) -> Verdict {
    Verdict::stalled(
        StalledReason::ListenerUrlInvalid,
        format!("listener.url cannot be used: {why}"),
    )
}

/// A host name is checked at each connect, after DNS resolution, and so is an endpoint. An IP
/// address can be refused here.
fn address_allowed(target: Target, policy: &AddressPolicy) -> Result<Target, Verdict> {
    let Upstream::Origin(origin) = &target.upstream else { return Ok(target) };
    let Host::Address(address) = origin.host else { return Ok(target) };
    let Err(refusal) = policy.check(address, origin.named_by) else { return Ok(target) };
    let field = match origin.named_by {
        NamedBy::Service => "listener.service",
        NamedBy::Url => "listener.url",
    };
    let why = match refusal {
        AddressRefusal::Class => {
            "a loopback, link-local, multicast or metadata address, which this operator does not connect to (--listener-allow-cidr)"
        }
        AddressRefusal::DeniedToUrls => {
            "a network that the operator does not connect to by URL (--egress-deny-cidr)"
        }
    };
    Err(Verdict::stalled(StalledReason::ListenerAddressRefused, format!("{field} points to {why}")))
}

/// The app of a webhook.
#[derive(Clone, Copy, Debug)]
pub enum AppStanding<'a> {
    /// The app does not exist.
    Missing,
    /// The app exists, with its verdict.
    Present(&'a Verdict),
}

/// Decides about a webhook. `unfit` is the error of `spec.verify`, or
/// of a transform that the app's envelope does not permit; `keeper` is the older webhook
/// of the same app and UUID, if any. `advice` about the entries is part of the message of a webhook
/// that is Ready.
pub fn webhook(
    namespace: &str,
    spec: &Result<WebhookSpec, Arc<str>>,
    unfit: Option<Verdict>,
    app: AppStanding<'_>,
    keeper: Option<&str>,
    advice: impl FnOnce() -> Option<String>,
) -> Verdict {
    let spec = match spec {
        Ok(spec) => spec,
        Err(why) => return invalid(why),
    };
    let AppStanding::Present(app) = app else {
        return Verdict::stalled(
            StalledReason::AppNotFound,
            format!("WebhookApp {} does not exist in namespace {namespace}", spec.app),
        );
    };
    if let Some(keeper) = keeper {
        return Verdict::stalled(
            StalledReason::UuidConflict,
            format!("Webhook {keeper} of the same app is older and has this UUID"),
        );
    }
    if let Some(fault) = &spec.fault {
        return Verdict::stalled(fault.reason, &*fault.message);
    }
    if let Some(verdict) = unfit {
        return verdict;
    }
    if spec.suspend {
        return Verdict::Suspended;
    }
    if let Verdict::Reconciling { .. } = app {
        return Verdict::Reconciling { message: format!("WebhookApp {} is reconciling", spec.app) };
    }
    if !app.is_ready() {
        return Verdict::stalled(
            StalledReason::AppNotReady,
            format!(
                "WebhookApp {} is not ready: {}: {}",
                spec.app,
                app.reason().as_str(),
                app.message()
            ),
        );
    }
    let advice = advice().map(|advice| format!("; {advice}")).unwrap_or_default();
    Verdict::Ready { message: format!("{ACCEPTING_TRIGGERS}{advice}") }
}

/// The verdict on a webhook with a transform whose app has the envelope `Raw`. To ignore the
/// transform would give the listener what it leaves out.
pub fn transform_of_raw(app: &str) -> Verdict {
    Verdict::stalled(
        StalledReason::InvalidTransform,
        format!(
            "spec.transform cannot be applied, as WebhookApp {app} has the envelope Raw, which passes the \
             sender's body: choose another envelope, or remove spec.transform"
        ),
    )
}

/// The verdict on an object whose spec is invalid.
pub fn invalid(why: &str) -> Verdict {
    Verdict::stalled(StalledReason::Invalid, why)
}

/// The verdict on an app whose UUID belongs to another app. The message names the other app only if
/// it is in the same namespace: tenants must not learn about other namespaces.
pub fn app_uuid_conflict(app: &Key, keeper: Option<&Key>) -> Verdict {
    let message = match keeper.filter(|keeper| keeper.namespace == app.namespace) {
        Some(keeper) => format!("WebhookApp {} already has this UUID", keeper.name),
        // Neither the namespace nor the existence of its app is disclosed to this tenant.
        None => "this UUID belongs to another namespace: choose another spec.uuid, or leave it out"
            .into(),
    };
    Verdict::stalled(StalledReason::UuidConflict, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_connected_to_by_its_host_and_certified_without_brackets() {
        for (url, host, port, server_name, authority) in [
            (
                "https://example.com/a?b",
                Host::Name("example.com".into()),
                443,
                "example.com",
                "example.com",
            ),
            (
                "http://192.0.2.1:81/",
                Host::Address([192, 0, 2, 1].into()),
                81,
                "192.0.2.1",
                "192.0.2.1:81",
            ),
            (
                "https://[2001:db8::1]:8443/",
                Host::Address("2001:db8::1".parse().unwrap()),
                8443,
                "2001:db8::1",
                "[2001:db8::1]:8443",
            ),
        ] {
            let target = url_target(&Url::parse(url).unwrap()).unwrap();
            let Upstream::Origin(origin) = &target.upstream else { panic!("{target:?}") };
            assert_eq!((&origin.host, origin.port), (&host, port), "{url}");
            assert_eq!(&*origin.server_name, server_name);
            assert_eq!(target.authority, authority);
        }
    }
}
