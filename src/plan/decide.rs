//! The decisions: ordered lists of small checks, each an input and a reason a person can act on.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use url::Url;

use super::address::AddressPolicy;
use super::input::{AppSpec, Endpoint, Key, ServiceAddress, ServiceInput, WebhookSpec};
use crate::resources::Scheme;
use crate::resources::conditions::Verdict;
use crate::routes::{Host, Origin, Target};

/// What the operator's flags say about listeners.
#[derive(Clone, Debug, Default)]
pub struct ListenerPolicy {
    /// Whether `listener.url` may be used.
    pub allow_url: bool,
    /// Which addresses may be connected to.
    pub addresses: AddressPolicy,
}

/// Finds where an app's listener is.
///
/// # Errors
/// A `Stalled` verdict that says what to change.
pub fn target(
    app: &Key,
    spec: &AppSpec,
    service: Option<&ServiceInput>,
    policy: &ListenerPolicy,
) -> Result<Target, Verdict> {
    let target = match &spec.endpoint {
        Endpoint::Service { name, port, path, scheme } => {
            let service = existing(app, name, service)?;
            let port = port_number(service, port)?;
            let server_name: Arc<str> = format!("{name}.{}.svc", app.namespace).into();
            let authority = format!("{server_name}:{port}");
            let host = service_host(service, &server_name)?;
            let origin = Origin { scheme: *scheme, host, port, server_name };
            new_target(origin, &authority, path)?
        }
        Endpoint::Url(url) => url_target(&url_allowed(url, policy)?)?,
    };
    address_allowed(target, &policy.addresses)
}

fn new_target(origin: Origin, authority: &str, path: &str) -> Result<Target, Verdict> {
    let authority = authority.parse().map_err(|_| invalid_url("its host is no header value"))?;
    let path = path.parse().map_err(|_| invalid_url("its path is not valid"))?;
    Ok(Target { origin: Arc::new(origin), authority, path })
}

fn existing<'a>(
    app: &Key,
    name: &str,
    service: Option<&'a ServiceInput>,
) -> Result<&'a ServiceInput, Verdict> {
    service.ok_or_else(|| {
        Verdict::stalled(
            "ServiceNotFound",
            format!("Service {name} does not exist in namespace {}", app.namespace),
        )
    })
}

fn port_number(service: &ServiceInput, wanted: &IntOrString) -> Result<u16, Verdict> {
    let found = service.ports.iter().find(|port| match wanted {
        IntOrString::Int(number) => i32::from(port.port) == *number,
        IntOrString::String(name) => port.name.as_deref() == Some(name),
    });
    found.map(|port| port.port).ok_or_else(|| {
        let wanted = match wanted {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(name) => format!("{name:?}"),
        };
        let ports = service.ports.iter().map(|port| match &port.name {
            Some(name) => format!("{} ({name})", port.port),
            None => port.port.to_string(),
        });
        let ports = ports.collect::<Vec<_>>().join(", ");
        Verdict::stalled(
            "PortNotFound",
            format!("Service {} has no port {wanted}; it has: {ports}", service.key.name),
        )
    })
}

fn service_host(service: &ServiceInput, name: &Arc<str>) -> Result<Host, Verdict> {
    match service.address {
        ServiceAddress::ClusterIp(address) => Ok(Host::Address(address)),
        ServiceAddress::Headless => Ok(Host::Name(name.clone())),
        ServiceAddress::ExternalName => Err(Verdict::stalled(
            "ServiceTypeNotSupported",
            format!(
                "Service {} is an ExternalName, which would lead out of the namespace",
                service.key.name
            ),
        )),
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
    let host = match url.host() {
        Some(url::Host::Domain(name)) => Host::Name(name.into()),
        Some(url::Host::Ipv4(address)) => Host::Address(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => Host::Address(IpAddr::V6(address)),
        None => return Err(invalid_url("it has no host")),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let origin =
        Origin { scheme, host, port, server_name: url.host_str().unwrap_or_default().into() };
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    new_target(origin, authority, &url[url::Position::BeforePath..url::Position::AfterQuery])
}

fn invalid_url(why: &str) -> Verdict {
    Verdict::stalled("ListenerURLInvalid", format!("listener.url cannot be used: {why}"))
}

/// A name is checked at each connect, on what it resolves to; an address can be refused here.
fn address_allowed(target: Target, policy: &AddressPolicy) -> Result<Target, Verdict> {
    match target.origin.host {
        Host::Address(address) if !policy.permits(address) => Err(Verdict::stalled(
            "ListenerAddressRefused",
            "the listener is at a loopback, link-local, multicast or metadata address, which this operator does not connect to (--listener-allow-cidr)",
        )),
        _ => Ok(target),
    }
}

/// How a webhook stands to its app.
#[derive(Clone, Copy, Debug)]
pub enum AppStanding<'a> {
    /// There is no such app.
    Missing,
    /// The app is there; its verdict says whether it takes triggers.
    Present(&'a Verdict),
}

/// Decides about a webhook. `keeper` is the older webhook of the same app and UUID, if any.
pub fn webhook(
    namespace: &str,
    spec: &Result<WebhookSpec, Arc<str>>,
    app: AppStanding<'_>,
    keeper: Option<&str>,
) -> Verdict {
    let spec = match spec {
        Ok(spec) => spec,
        Err(why) => return invalid(why),
    };
    let AppStanding::Present(app) = app else {
        return Verdict::stalled(
            "AppNotFound",
            format!("WebhookApp {} does not exist in namespace {namespace}", spec.app),
        );
    };
    if let Some(keeper) = keeper {
        return Verdict::stalled(
            "UUIDConflict",
            format!("Webhook {keeper} of the same app is older and has this UUID"),
        );
    }
    if spec.suspend {
        return Verdict::Suspended;
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
pub fn app_uuid_conflict(app: &Key, keeper: &Key) -> Verdict {
    let who = if app.namespace == keeper.namespace {
        format!("WebhookApp {}", keeper.name)
    } else {
        "a WebhookApp of another namespace".into()
    };
    Verdict::stalled("UUIDConflict", format!("{who} is older and has this UUID"))
}
