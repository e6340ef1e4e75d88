//! The decisions: ordered lists of small checks, each an input and a reason a person can act on.

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
use crate::resources::conditions::{APP_NOT_FOUND, Verdict};
use crate::routes::{Endpoints, Host, NamedBy, Origin, Target, Upstream};

/// What the operator's flags say about listeners.
#[derive(Clone, Debug, Default)]
pub struct ListenerPolicy {
    /// Whether `listener.url` may be used.
    pub allow_url: bool,
    /// Which addresses may be connected to.
    pub addresses: AddressPolicy,
    /// How Services are reached.
    pub reach: Reach,
    /// Whether Services lead to more than Pods that they select.
    pub manual_endpoints: ManualEndpoints,
}

/// Where an app's listener is.
#[derive(Debug)]
pub struct Found {
    /// What calls need.
    pub target: Target,
    /// What calls go to now, where they go to the endpoints of a Service.
    pub ready: Vec<Origin>,
}

/// Finds where an app's listener is; `cell` is where its ready endpoints will be found, and
/// `slices` are the EndpointSlices of its Service.
///
/// # Errors
/// A verdict that says what to change, or that it is not known yet.
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
    let authority = authority.parse().map_err(|_| invalid_url("its host is no header value"))?;
    let path = path.parse().map_err(|_| invalid_url("its path is not valid"))?;
    Ok(Target { upstream, authority, path })
}

fn existing<'a>(app: &Key, name: &str, known: Known<'a>) -> Result<&'a ServiceInput, Verdict> {
    match known {
        Known::There(service) => Ok(service),
        Known::NotYet => Err(Verdict::Reconciling {
            message: format!("Service {name} and its endpoints are being looked up"),
        }),
        Known::Missing => Err(Verdict::stalled(
            "ServiceNotFound",
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
            "PortNotFound",
            format!("Service {name} has no TCP port {wanted}; it has: {ports}"),
        )
    })
}

/// The name of a Service within its cluster.
fn service_name(service: &ServiceInput, namespace: &str) -> Result<Arc<str>, Verdict> {
    let name = &service.key.name;
    match service.address {
        ServiceAddress::ExternalName => Err(Verdict::stalled(
            "ServiceTypeNotSupported",
            format!("Service {name} is an ExternalName, which would lead out of the namespace"),
        )),
        _ => Ok(format!("{name}.{namespace}.svc").into()),
    }
}

/// A Service that leads to no Pod is a mistake to tell of: its triggers would be answered 503 for no
/// reason that a tenant sees.
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
        "ManualEndpointsNotAllowed",
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
            "ListenerURLNotAllowed",
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
    // Without the brackets that an IPv6 address has in a URL: no certificate has them.
    let server_name = host.to_string().into();
    let origin = Origin { scheme, host, port, server_name, named_by: NamedBy::Url };
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let upstream = Upstream::Origin(Arc::new(origin));
    new_target(upstream, authority, &url[url::Position::BeforePath..url::Position::AfterQuery])
}

fn invalid_url(why: &str) -> Verdict {
    Verdict::stalled("ListenerURLInvalid", format!("listener.url cannot be used: {why}"))
}

/// A name is checked at each connect, on what it resolves to, and so is an endpoint; an address can
/// be refused here.
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
            "a network that this operator does not connect to by a URL (--egress-deny-cidr)"
        }
    };
    Err(Verdict::stalled("ListenerAddressRefused", format!("{field} leads to {why}")))
}

/// How a webhook stands to its app.
#[derive(Clone, Copy, Debug)]
pub enum AppStanding<'a> {
    /// There is no such app.
    Missing,
    /// The app is there; its verdict says whether it takes triggers.
    Present(&'a Verdict),
}

/// Decides about a webhook. `unproven` says why it cannot be told who sent its triggers; `keeper` is the older webhook of the same app and UUID, if any.
pub fn webhook(
    namespace: &str,
    spec: &Result<WebhookSpec, Arc<str>>,
    unproven: Option<&Verdict>,
    app: AppStanding<'_>,
    keeper: Option<&str>,
) -> Verdict {
    let spec = match spec {
        Ok(spec) => spec,
        Err(why) => return invalid(why),
    };
    let AppStanding::Present(app) = app else {
        return Verdict::stalled(
            APP_NOT_FOUND,
            format!("WebhookApp {} does not exist in namespace {namespace}", spec.app),
        );
    };
    if let Some(keeper) = keeper {
        return Verdict::stalled(
            "UUIDConflict",
            format!("Webhook {keeper} of the same app is older and has this UUID"),
        );
    }
    if let Some(fault) = &spec.fault {
        return Verdict::stalled(fault.reason, &*fault.message);
    }
    if let Some(verdict) = unproven {
        return verdict.clone();
    }
    if spec.suspend {
        return Verdict::Suspended;
    }
    if let Verdict::Reconciling { .. } = app {
        return Verdict::Reconciling { message: format!("WebhookApp {} is reconciling", spec.app) };
    }
    if !app.is_ready() {
        return Verdict::stalled(
            "AppNotReady",
            format!("WebhookApp {} is not ready: {}: {}", spec.app, app.reason(), app.message()),
        );
    }
    Verdict::Ready { message: "triggers are carried to the listener".into() }
}

/// An object whose spec could not be read.
pub fn invalid(why: &str) -> Verdict {
    Verdict::stalled("Invalid", why)
}

/// An app whose UUID an older one has. Only a keeper of the same namespace is named: who is in
/// another one is none of this tenant's business.
pub fn app_uuid_conflict(app: &Key, keeper: Option<&Key>) -> Verdict {
    let message = match keeper.filter(|keeper| keeper.namespace == app.namespace) {
        Some(keeper) => format!("WebhookApp {} already has this UUID", keeper.name),
        // Which namespace, and whether its app still exists, is not this tenant's to know.
        None => "this UUID belongs to another namespace: choose another spec.uuid, or leave it out"
            .into(),
    };
    Verdict::stalled("UUIDConflict", message)
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
