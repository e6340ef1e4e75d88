//! A collector that keeps what it is sent: OTLP over gRPC and over HTTP.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use prost::Message;
use tokio::runtime::Builder;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::span::{Span, attributes};
use crate::support::https::Certificate;

const PATIENCE: Duration = Duration::from_secs(60);

/// One export.
#[derive(Debug)]
pub struct Export {
    pub spans: Vec<Span>,
    /// What the spans are about.
    pub resource: Vec<(String, String)>,
    /// Headers, or metadata, with this name.
    pub api_key: Option<String>,
}

/// A collector on a free port of loopback. It lives as long as the test process.
pub struct Collector {
    pub endpoint: String,
    exports: Receiver<Export>,
    kept: Mutex<Vec<Span>>,
    /// The status that HTTP is answered with.
    status: Arc<AtomicU16>,
}

impl Collector {
    pub fn http() -> Self {
        let (socket, mut collector, sender) = Self::new("http");
        let status = Arc::new(AtomicU16::new(200));
        collector.status = status.clone();
        let router = Router::new().route("/v1/traces", post(take)).with_state((sender, status));
        serve(async move {
            let socket = tokio::net::TcpListener::from_std(socket).unwrap();
            axum::serve(socket, router).await.unwrap();
        });
        collector
    }

    pub fn grpc() -> Self {
        let (socket, collector, sender) = Self::new("http");
        serve_grpc(socket, Server::builder(), sender);
        collector
    }

    /// At `localhost`.
    pub fn grpc_tls(certificate: &Certificate) -> Self {
        let (socket, mut collector, sender) = Self::new("https");
        collector.endpoint = collector.endpoint.replace("127.0.0.1", "localhost");
        let identity = Identity::from_pem(&certificate.pem, &certificate.key);
        let tls = ServerTlsConfig::new().identity(identity);
        serve_grpc(socket, Server::builder().tls_config(tls).unwrap(), sender);
        collector
    }

    fn new(scheme: &str) -> (TcpListener, Self, Sender<Export>) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let endpoint = format!("{scheme}://{}", socket.local_addr().unwrap());
        let (sender, exports) = channel();
        let (kept, status) = (Mutex::default(), Arc::default());
        (socket, Self { endpoint, exports, kept, status }, sender)
    }

    /// From now on, answers HTTP so.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// The next export; fails when none comes.
    pub fn export(&self) -> Export {
        self.exports.recv_timeout(PATIENCE).expect("an export")
    }

    /// All spans that have come so far, once there are as many as that with this name.
    pub fn spans(&self, name: &str, count: usize) -> Vec<Span> {
        let mut kept = self.kept.lock().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while kept.iter().filter(|span| span.name == name).count() < count {
            match self.exports.recv_timeout(deadline - Instant::now()) {
                Ok(export) => kept.extend(export.spans),
                Err(error) => panic!("{error}: no {count} spans {name} among {kept:#?}"),
            }
        }
        kept.clone()
    }

    /// Fails when anything has come.
    pub fn expect_nothing(&self) {
        match self.exports.recv_timeout(Duration::ZERO) {
            Err(RecvTimeoutError::Timeout) => {}
            other => panic!("exported: {other:?}"),
        }
    }
}

fn serve(server: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(|| Builder::new_current_thread().enable_all().build().unwrap().block_on(server));
}

fn serve_grpc(socket: TcpListener, mut server: Server, sender: Sender<Export>) {
    serve(async move {
        let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(socket).unwrap());
        let service = TraceServiceServer::new(Grpc(Mutex::new(sender)));
        server.add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
}

struct Grpc(Mutex<Sender<Export>>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let api_key = request.metadata().get("api-key");
        let api_key = api_key.map(|value| value.to_str().unwrap().to_owned());
        let _ = self.0.lock().unwrap().send(export(request.into_inner(), api_key));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn take(
    State((sender, status)): State<(Sender<Export>, Arc<AtomicU16>)>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Vec<u8>) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let api_key = headers.get("api-key").map(|value| value.to_str().unwrap().to_owned());
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let _ = sender.send(export(request, api_key));
    let status = StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap();
    (status, ExportTraceServiceResponse::default().encode_to_vec())
}

fn export(request: ExportTraceServiceRequest, api_key: Option<String>) -> Export {
    let of_resources = request.resource_spans;
    let resource = of_resources.iter().filter_map(|one| one.resource.as_ref());
    let resource = resource.flat_map(|resource| attributes(&resource.attributes)).collect();
    let sent: Vec<Sent> = of_resources
        .into_iter()
        .flat_map(|one| one.scope_spans)
        .flat_map(|one| one.spans)
        .collect();
    Export { spans: sent.into_iter().map(Span::from).collect(), resource, api_key }
}
