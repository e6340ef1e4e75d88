//! Flags that several subcommands share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Args};
use ipnet::IpNet;
use rustls::ServerConfig;

use super::queue::QueueArgs;
use crate::http::Networks;
use crate::http::{Acceptor, CLIENT_SHARE, CertificateFiles, Limits};
use crate::plan::Key;
use crate::plan::address::AddressPolicy;
use crate::plan::duration;
use crate::resources::MAX_BODY_BYTES;
use crate::routes::Table;
use crate::source::{Counting, Tallies};

/// The addresses of the three ports, from the flags of a subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Trigger port, public.
    pub trigger: SocketAddr,
    /// App API port.
    pub app_api: SocketAddr,
    /// Admin port.
    pub admin: SocketAddr,
    /// The port for other replicas, where there may be some.
    pub peer: Option<SocketAddr>,
}

/// Flags of serving and delivery that `run` and `standalone` share.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub queue: QueueArgs,
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Networks of trusted proxies in front of the trigger port; the client address is taken from
    /// their X-Forwarded-For
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    trusted_proxies: Vec<IpNet>,
    /// Expect a PROXY protocol header (version 1 or 2) on each connection to the trigger port; with
    /// --trusted-proxies only those networks may send one
    #[arg(long, env = "WEBHOOK_OPERATOR_PROXY_PROTOCOL")]
    proxy_protocol: bool,
    /// Networks that `listener.url` and `jwksUrl` must not reach, such as those of the cluster's
    /// Pods and Services. Checked at each connect, after DNS resolution. Does not apply to
    /// listeners named by a Service
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_EGRESS_DENY_CIDR",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    egress_deny_cidr: Vec<IpNet>,
    /// PEM file of certificate authorities to trust for https listeners, in addition to the
    /// system's
    #[arg(long, env = "WEBHOOK_OPERATOR_LISTENER_CA_FILE", value_name = "FILE")]
    pub listener_ca_file: Option<PathBuf>,
    /// How long to keep serving after SIGTERM while load balancers drain this replica. `/readyz`
    /// fails immediately, and connections close after their next response
    #[arg(long, env = "WEBHOOK_OPERATOR_SHUTDOWN_DELAY", default_value = "0s", value_parser = time_or_none, value_name = "TIME")]
    pub shutdown_delay: Duration,
    /// Shortest time between two updates of a webhook's `status.lastDelivery` and
    /// `status.deliveries`
    #[arg(long, env = "WEBHOOK_OPERATOR_STATUS_INTERVAL", default_value = "1m", value_parser = time, value_name = "TIME")]
    status_interval: Duration,
    /// Threads that accept triggers, each with its own connection pool [default: one per core]
    #[arg(long, env = "WEBHOOK_OPERATOR_TRIGGER_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub trigger_threads: Option<u16>,
}

impl ServeArgs {
    /// Number of threads that accept triggers.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.trigger_threads.map_or_else(cores, usize::from)
    }

    /// Configures an acceptor for the trusted proxies and, where enabled, the PROXY protocol.
    pub fn behind_balancer(&self, acceptor: Acceptor) -> Acceptor {
        let acceptor = acceptor.trusting(self.trusted_proxies());
        if self.proxy_protocol { acceptor.behind_proxy_protocol() } else { acceptor }
    }

    /// The source of the delivery counts in statuses, and their update interval.
    pub fn counting(&self, tallies: Arc<dyn Tallies>) -> Counting {
        Counting { tallies, interval: self.status_interval }
    }

    /// The address policy that allows these networks and denies URLs those of --egress-deny-cidr.
    pub fn addresses(&self, allowed: &[IpNet]) -> AddressPolicy {
        AddressPolicy { allowed: allowed.to_vec(), denied_to_urls: self.egress_deny_cidr.clone() }
    }

    /// Networks whose X-Forwarded-For is trusted.
    pub fn trusted_proxies(&self) -> Networks {
        self.trusted_proxies.iter().copied().collect()
    }
}

/// Flags of `/metrics`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// Count and time triggers and attempts
    #[arg(long, env = "WEBHOOK_OPERATOR_METRICS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    metrics: bool,
    /// Export series per webhook and app; if false, per namespace only, for installations with very
    /// many webhooks
    #[arg(long, env = "WEBHOOK_OPERATOR_WEBHOOK_METRICS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub webhook_metrics: bool,
}

impl MetricsArgs {
    /// A route table, with metrics where they are enabled.
    pub fn table(&self) -> Arc<Table> {
        Arc::new(if self.metrics { Table::default() } else { Table::unmetered() })
    }
}

/// Limits of the public ports.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Size of request line and headers, in bytes
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_HEADER_BYTES", default_value = "32Ki", value_parser = bytes, value_name = "BYTES")]
    max_header_bytes: usize,
    /// Largest body of any trigger, in bytes, regardless of a webhook's maxBodyBytes; at most 32Mi
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_BODY_BYTES", default_value = "32Mi", value_parser = body_bytes, value_name = "BYTES")]
    pub max_body_bytes: usize,
    /// Total size of bodies in memory, in bytes; one app may use at most half
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_BUFFERED_BYTES", default_value = "256Mi", value_parser = bytes, value_name = "BYTES")]
    max_buffered_bytes: usize,
    /// Concurrent connections per port
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_CONNECTIONS", default_value = "8192", value_parser = bytes, value_name = "N")]
    max_connections: usize,
    /// Concurrent connections per client (an IPv4 address or an IPv6 /64). Does not apply to
    /// --trusted-proxies [default: an eighth of --max-connections]
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_CONNECTIONS_PER_CLIENT", value_parser = bytes, value_name = "N")]
    max_connections_per_client: Option<usize>,
    /// Concurrent triggers per app; one client may be sending bodies in at most an eighth of them
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_IN_FLIGHT_PER_APP", default_value = "1024", value_parser = bytes, value_name = "N")]
    max_in_flight_per_app: usize,
    /// Timeout for reading the headers of a request
    #[arg(long, env = "WEBHOOK_OPERATOR_HEADER_TIMEOUT", default_value = "10s", value_parser = time, value_name = "TIME")]
    header_timeout: Duration,
    /// Timeout for reading the body of a request
    #[arg(long, env = "WEBHOOK_OPERATOR_BODY_TIMEOUT", default_value = "30s", value_parser = time, value_name = "TIME")]
    body_timeout: Duration,
    /// How long an idle connection stays open
    #[arg(long, env = "WEBHOOK_OPERATOR_KEEP_ALIVE_TIMEOUT", default_value = "75s", value_parser = time, value_name = "TIME")]
    keep_alive_timeout: Duration,
    /// How long requests and attempts in flight may take after the ports close
    #[arg(long, env = "WEBHOOK_OPERATOR_DRAIN_TIMEOUT", default_value = "30s", value_parser = time, value_name = "TIME")]
    drain_timeout: Duration,
}

impl LimitArgs {
    pub fn limits(&self) -> Limits {
        Limits {
            header_bytes: self.max_header_bytes,
            header_read: self.header_timeout,
            body_read: self.body_timeout,
            keep_alive: self.keep_alive_timeout,
            connections: self.max_connections,
            connections_per_client: self
                .max_connections_per_client
                .unwrap_or_else(|| (self.max_connections / CLIENT_SHARE).max(1)),
            buffered_bytes: self.max_buffered_bytes,
            in_flight_per_app: self.max_in_flight_per_app,
            drain: self.drain_timeout,
        }
    }
}

/// TLS of the trigger port.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS of the trigger port")]
pub struct TlsArgs {
    /// PEM file of the certificate chain; reloaded when it changes
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TLS_CERT_FILE",
        value_name = "FILE",
        requires = "tls_key_file"
    )]
    tls_cert_file: Option<PathBuf>,
    /// PEM file of the private key; reloaded when it changes
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TLS_KEY_FILE",
        value_name = "FILE",
        requires = "tls_cert_file"
    )]
    tls_key_file: Option<PathBuf>,
}

impl TlsArgs {
    /// The scheme of the trigger port: `https` if a certificate is configured.
    pub fn scheme(&self) -> &'static str {
        if self.tls_cert_file.is_some() { "https" } else { "http" }
    }

    /// The TLS configuration, if a certificate is configured; a background task reloads the
    /// certificate.
    pub fn config(&self) -> anyhow::Result<Option<Arc<ServerConfig>>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert_file, &self.tls_key_file) else {
            return Ok(None);
        };
        let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
        let (config, keep_fresh) = files.config().context("TLS of the trigger port")?;
        tokio::spawn(keep_fresh);
        Ok(Some(config))
    }
}

/// Parses a base URL and removes its trailing slash.
pub fn base_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must be an absolute http or https URL".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have neither a query nor a fragment".into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Parses `NAMESPACE/NAME`.
pub fn key(text: &str) -> Result<Key, String> {
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok(Key::new(namespace, name))
        }
        _ => Err("must be NAMESPACE/NAME".into()),
    }
}

/// Parses a duration such as `500ms`, `10s`, `5m`, `2h` or `7d`.
pub fn time(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let days = days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    let parsed = days.or_else(|| duration::parse(text)).filter(|time| !time.is_zero());
    parsed.ok_or_else(|| "must be a duration such as 500ms, 10s, 5m, 2h or 7d".into())
}

/// Parses a duration that may be zero.
fn time_or_none(text: &str) -> Result<Duration, String> {
    if matches!(text, "0s" | "0m") { Ok(Duration::ZERO) } else { time(text) }
}

/// Parses a positive number with an optional suffix `Ki`, `Mi` or `Gi`.
pub fn bytes(text: &str) -> Result<usize, String> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let split = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = split.unwrap_or((text, 1));
    let parsed = number.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
    let parsed = parsed.filter(|number| *number > 0);
    parsed.ok_or_else(|| "must be a positive number such as 8000000, 32Ki or 256Mi".into())
}

fn body_bytes(text: &str) -> Result<usize, String> {
    let number = bytes(text)?;
    if number > MAX_BODY_BYTES as usize {
        return Err("must be at most 32Mi".into());
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_urls_are_read_or_refused() {
        assert_eq!(bytes("32Ki"), Ok(32 * 1024));
        assert_eq!(bytes("8000000"), Ok(8_000_000));
        assert!(
            ["", "0", "-1", "1k", "Ki", "99999999999Gi"].iter().all(|text| bytes(text).is_err())
        );
        assert!(body_bytes("33Mi").is_err());
        assert_eq!(
            base_url("https://hooks.example.com/").as_deref(),
            Ok("https://hooks.example.com")
        );
        assert!(
            ["hooks.example.com", "ftp://a", "http://a/?b"].iter().all(|t| base_url(t).is_err())
        );
    }
}
