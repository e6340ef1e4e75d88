//! The exporter: OTLP over gRPC or HTTP, configured by the standard variables, on a background
//! thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry::KeyValue;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol as Wire, SpanExporter as Otlp, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::{
    EnvResourceDetector, SdkProvidedResourceDetector, TelemetryResourceDetector,
};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor};
use tokio::runtime::Handle;

use super::Traces;
use super::settings::{ExportProtocol, TraceSettings, Variables};
use crate::trust;

/// Error of starting the exporter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The trusted certificates cannot be read.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {0}")]
    Certificate(#[from] io::Error),
    /// The exporter rejects the values of the variables.
    #[error("invalid OTEL_* variables: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Starts the exporter that the environment variables configure; does nothing without the endpoint
/// of a collector. Has to be called within a runtime, which sends the spans and has to outlive
/// them.
///
/// # Errors
/// See [`Error`].
pub fn start() -> Result<Traces, Error> {
    let look_up = |name: &str| std::env::var(name).ok();
    let (settings, warnings) = Variables::new(&look_up).settings();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let Some(settings) = settings else { return Ok(Traces::default()) };
    let exporter = match settings.protocol {
        ExportProtocol::Grpc => grpc(&settings)?,
        ExportProtocol::HttpProtobuf => http(&settings)?,
    };
    let exporter = LoggingExporter { exporter, is_down: AtomicBool::new(false) };
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(&resource(settings.has_service_name));
    tracing::info!(
        protocol = ?settings.protocol,
        ratio = settings.sampling.ratio,
        follows_sender = settings.sampling.follows_parent,
        "traces are exported"
    );
    Ok(Traces::new(settings.sampling, processor))
}

fn grpc(settings: &TraceSettings) -> Result<Otlp, Error> {
    let builder = Otlp::builder().with_tonic().with_timeout(settings.timeout);
    if settings.is_plain {
        return Ok(builder.build()?);
    }
    let mut tls = ClientTlsConfig::new().with_enabled_roots();
    if let Some(path) = &settings.certificate {
        tls = tls.ca_certificate(Certificate::from_pem(std::fs::read(path)?));
    }
    Ok(builder.with_tls_config(tls).build()?)
}

fn http(settings: &TraceSettings) -> Result<Otlp, Error> {
    let client: Arc<dyn HttpClient> = if settings.is_plain {
        Arc::new(HyperClient::with_default_connector(settings.timeout, None))
    } else {
        let extra = settings.certificate.as_deref().map(trust::read_roots).transpose()?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trust::client_config(&extra.unwrap_or_default()))
            .https_or_http()
            .enable_http1()
            .build();
        Arc::new(HyperClient::new(connector, settings.timeout, None))
    };
    let client = InRuntime { client, runtime: Handle::current() };
    let builder = Otlp::builder().with_http().with_http_client(client);
    // All settings are explicit: `Variables` has read the environment, and the exporter's own
    // defaults and variables must not override it.
    Ok(builder.with_protocol(Wire::HttpBinary).with_timeout(settings.timeout).build()?)
}

/// Attributes of the operator. The environment variables override the built-in ones.
fn resource(has_name: bool) -> Resource {
    let builder = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[
            Box::new(SdkProvidedResourceDetector),
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    match has_name {
        true => builder.build(),
        false => builder.with_service_name(env!("CARGO_PKG_NAME")).build(),
    }
}

/// Runs an HTTP client on a runtime, because the processor's thread has none.
#[derive(Debug)]
struct InRuntime {
    client: Arc<dyn HttpClient>,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for InRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        // Logged here, because the exporter's own error does not contain the cause.
        sent.inspect_err(
            |error| tracing::debug!(%error, source = error.source(), "trace export failed"),
        )
    }
}

/// Logs the first failed export of an outage, and the first success after it.
#[derive(Debug)]
struct LoggingExporter<E> {
    exporter: E,
    is_down: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for LoggingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let was_down = self.is_down.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_down => {
                tracing::warn!(%error, "traces cannot be exported; dropping spans");
            }
            Ok(()) if was_down => tracing::info!("traces are exported again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
