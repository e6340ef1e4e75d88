//! Connects to a cluster, and checks that it has the operator's CRDs.

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use kube::client::{Body, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Resource};
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

use super::call::{code, describe, within};
use super::error::KubernetesError;
use super::watch;
use crate::resources::{Webhook, WebhookApp};

/// The deadline to connect to the API server, and that of the first requests.
const DEADLINE: Duration = Duration::from_secs(5);

/// How much longer than the lifetime of a watch a connection may be idle.
const READ_MARGIN: Duration = Duration::from_secs(15);

/// Connects, and queries the version and the operator's resources. Returns the configuration as
/// well.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<(Client, Config), KubernetesError> {
    let config = config(kubeconfig).await?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config.clone())
        .map_err(|error| KubernetesError::Configuration(describe(&error)))?;
    let failed = |why| KubernetesError::Server { server: server.clone(), why };
    let known = within(DEADLINE, has_resources(&client)).await.map_err(failed)?;
    if known { Ok((client, config)) } else { Err(KubernetesError::NoDefinitions(server)) }
}

/// The current `Authorization` header for the API server; `None` for a client certificate. Not
/// cached, because a token read from a file changes.
///
/// # Errors
/// If the login fails.
pub async fn authorization(config: &Config) -> Result<Option<HeaderValue>, String> {
    let layer = config.auth_layer().map_err(|error| describe(&error))?;
    let Some(layer) = layer else { return Ok(None) };
    let header = service_fn(|request: Request<Body>| async move {
        let found = request.headers().get(AUTHORIZATION).cloned();
        Ok::<_, BoxError>(Response::new(found))
    });
    // Boxed, because the compiler cannot prove that the error is `Send` otherwise.
    let found = layer.layer(header).oneshot(Request::new(Body::empty())).boxed().await;
    found.map(Response::into_body).map_err(|error: BoxError| error.to_string())
}

async fn config(kubeconfig: Option<&Path>) -> Result<Config, KubernetesError> {
    let config = match kubeconfig {
        None => Config::infer().await.map_err(|error| error.to_string()),
        Some(path) => from_file(path).await.map_err(|error| error.to_string()),
    };
    let mut config = config.map_err(KubernetesError::Configuration)?;
    config.connect_timeout = Some(DEADLINE);
    // Without it, a list would wait for ever for a peer that vanished without closing its
    // connection.
    config.read_timeout = Some(watch::LIFETIME + READ_MARGIN);
    config.reset_reader_on_write = true;
    Ok(config)
}

async fn from_file(path: &Path) -> Result<Config, kube::config::KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

/// Whether the cluster knows both kinds. Uses discovery, which every account may read.
async fn has_resources(client: &Client) -> kube::Result<bool> {
    let version = client.apiserver_version().await?;
    tracing::info!(version = version.git_version, "connected to the API server");
    match client.list_api_group_resources(&WebhookApp::api_version(&())).await {
        Ok(list) => {
            let known = |plural| list.resources.iter().any(|resource| resource.name == plural);
            Ok(known(WebhookApp::plural(&())) && known(Webhook::plural(&())))
        }
        Err(error) if code(&error) == Some(404) => Ok(false),
        Err(error) => Err(error),
    }
}
