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

/// The ports, as a subcommand's own flags name them.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The public port.
    pub trigger: SocketAddr,
    /// The port for apps.
    pub app_api: SocketAddr,
    /// The port for the platform.
    pub admin: SocketAddr,
    /// The port for other replicas, where there may be some.
    pub peer: Option<SocketAddr>,
}

/// How the trigger port serves, and where it carries things.
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
    /// Networks of the proxies before the trigger port: their X-Forwarded-For says where a trigger
    /// comes from
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    trusted_proxies: Vec<IpNet>,
    /// Each connection to the trigger port begins with a PROXY protocol header (version 1 or 2), which
    /// says where it comes from; with --trusted-proxies it is taken from those alone
    #[arg(long, env = "WEBHOOK_OPERATOR_PROXY_PROTOCOL")]
    proxy_protocol: bool,
    /// Networks that `listener.url` and `jwksUrl` must not reach, such as those of the cluster's own Pods and
    /// Services. What a name resolves to is checked at each connect. Listeners that are named by a Service are
    /// reached all the same
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_EGRESS_DENY_CIDR",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    egress_deny_cidr: Vec<IpNet>,
    /// PEM file of certificate authorities to trust for https listeners, besides the system's
    #[arg(long, env = "WEBHOOK_OPERATOR_LISTENER_CA_FILE", value_name = "FILE")]
    pub listener_ca_file: Option<PathBuf>,
    /// After SIGTERM, how long everything is served on while others stop sending here: not ready at
    /// once, each connection ends with its next answer, and only then the ports close
    #[arg(long, env = "WEBHOOK_OPERATOR_SHUTDOWN_DELAY", default_value = "0s", value_parser = time_or_none, value_name = "TIME")]
    pub shutdown_delay: Duration,
    /// How long `status.lastDelivery` and `status.deliveries` of a webhook stay at least before they are
    /// refreshed
    #[arg(long, env = "WEBHOOK_OPERATOR_STATUS_INTERVAL", default_value = "1m", value_parser = time, value_name = "TIME")]
    status_interval: Duration,
    /// Threads that take triggers, each with connections of its own [default: one a core]
    #[arg(long, env = "WEBHOOK_OPERATOR_TRIGGER_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub trigger_threads: Option<u16>,
}

impl ServeArgs {
    /// How many threads take triggers.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.trigger_threads.map_or_else(cores, usize::from)
    }

    /// Lets connections come from proxies, and begin as the balancer before the trigger port makes them begin.
    pub fn behind_balancer(&self, acceptor: Acceptor) -> Acceptor {
        let acceptor = acceptor.trusting(self.trusted_proxies());
        if self.proxy_protocol { acceptor.behind_proxy_protocol() } else { acceptor }
    }

    /// Who counts for statuses what became of events, and how often.
    pub fn counting(&self, tallies: Arc<dyn Tallies>) -> Counting {
        Counting { tallies, interval: self.status_interval }
    }

    /// An address policy that allows these networks, and denies URLs those of the flag.
    pub fn addresses(&self, allowed: &[IpNet]) -> AddressPolicy {
        AddressPolicy { allowed: allowed.to_vec(), denied_to_urls: self.egress_deny_cidr.clone() }
    }

    /// The proxies that are believed.
    pub fn trusted_proxies(&self) -> Networks {
        self.trusted_proxies.iter().copied().collect()
    }
}

/// What `/metrics` tells.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// Whether triggers and attempts are counted and timed
    #[arg(long, env = "WEBHOOK_OPERATOR_METRICS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    metrics: bool,
    /// Whether /metrics has series for each webhook and app; without them, one for each namespace: for
    /// installations with very many webhooks
    #[arg(long, env = "WEBHOOK_OPERATOR_WEBHOOK_METRICS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub webhook_metrics: bool,
}

impl MetricsArgs {
    /// A route table, with counters beside it if they are wanted.
    pub fn table(&self) -> Arc<Table> {
        Arc::new(if self.metrics { Table::default() } else { Table::unmetered() })
    }
}

/// Limits of the public ports.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Request line and headers of a request, in bytes
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_HEADER_BYTES", default_value = "32Ki", value_parser = bytes, value_name = "BYTES")]
    max_header_bytes: usize,
    /// The operator's own ceiling of a body, whatever a webhook's maxBodyBytes says; at most 32Mi
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_BODY_BYTES", default_value = "32Mi", value_parser = body_bytes, value_name = "BYTES")]
    pub max_body_bytes: usize,
    /// Bytes of bodies held in memory at once; one app takes at most half of it
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_BUFFERED_BYTES", default_value = "256Mi", value_parser = bytes, value_name = "BYTES")]
    max_buffered_bytes: usize,
    /// Connections of a port at once
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_CONNECTIONS", default_value = "8192", value_parser = bytes, value_name = "N")]
    max_connections: usize,
    /// Of these, connections of one client: an IPv4 address, or an IPv6 /64. Proxies of --trusted-proxies have no
    /// such bound [default: an eighth of --max-connections]
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_CONNECTIONS_PER_CLIENT", value_parser = bytes, value_name = "N")]
    max_connections_per_client: Option<usize>,
    /// Triggers of one app at once; of these, one client may be sending the bodies of an eighth
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_IN_FLIGHT_PER_APP", default_value = "1024", value_parser = bytes, value_name = "N")]
    max_in_flight_per_app: usize,
    /// How long the headers of a request may take
    #[arg(long, env = "WEBHOOK_OPERATOR_HEADER_TIMEOUT", default_value = "10s", value_parser = time, value_name = "TIME")]
    header_timeout: Duration,
    /// How long the body of a request may take
    #[arg(long, env = "WEBHOOK_OPERATOR_BODY_TIMEOUT", default_value = "30s", value_parser = time, value_name = "TIME")]
    body_timeout: Duration,
    /// How long a connection may stay open between requests
    #[arg(long, env = "WEBHOOK_OPERATOR_KEEP_ALIVE_TIMEOUT", default_value = "75s", value_parser = time, value_name = "TIME")]
    keep_alive_timeout: Duration,
    /// How long what is under way may take after the ports closed
    #[arg(long, env = "WEBHOOK_OPERATOR_DRAIN_TIMEOUT", default_value = "30s", value_parser = time, value_name = "TIME")]
    drain_timeout: Duration,
}

impl LimitArgs {
    /// The limits.
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
    /// PEM file of the certificate chain; read again when it changes
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TLS_CERT_FILE",
        value_name = "FILE",
        requires = "tls_key_file"
    )]
    tls_cert_file: Option<PathBuf>,
    /// PEM file of the private key
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_TLS_KEY_FILE",
        value_name = "FILE",
        requires = "tls_cert_file"
    )]
    tls_key_file: Option<PathBuf>,
}

impl TlsArgs {
    /// Whether the trigger port speaks TLS.
    pub fn scheme(&self) -> &'static str {
        if self.tls_cert_file.is_some() { "https" } else { "http" }
    }

    /// The TLS configuration, if there is to be TLS; its certificate is kept fresh by a task.
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

/// A URL without a slash at its end.
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

/// `NAMESPACE/NAME`.
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

/// A duration such as `500ms`, `10s`, `5m`, `2h` or `7d`.
pub fn time(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let days = days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    let parsed = days.or_else(|| duration::parse(text)).filter(|time| !time.is_zero());
    parsed.ok_or_else(|| "must be a duration such as 500ms, 10s, 5m, 2h or 7d".into())
}

/// A duration that may be zero.
fn time_or_none(text: &str) -> Result<Duration, String> {
    if matches!(text, "0s" | "0m") { Ok(Duration::ZERO) } else { time(text) }
}

/// A positive number, with `Ki`, `Mi` or `Gi` after it if wanted.
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
