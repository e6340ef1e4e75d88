//! The way to a cluster: the client, and whether what answers is a cluster for this operator.

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

/// How long the API server has to be connected to and to answer the first questions.
const DEADLINE: Duration = Duration::from_secs(5);

/// How much longer a connection may be silent than a watch without events is.
const READ_MARGIN: Duration = Duration::from_secs(15);

/// Connects and asks for the version and for the operator's resources. The way there is told too.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<(Client, Config), KubernetesError> {
    let config = config(kubeconfig).await?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config.clone())
        .map_err(|error| KubernetesError::Configuration(describe(&error)))?;
    let failed = |why| KubernetesError::Server { server: server.clone(), why };
    let known = within(DEADLINE, ask(&client)).await.map_err(failed)?;
    if known { Ok((client, config)) } else { Err(KubernetesError::NoDefinitions(server)) }
}

/// The header by which a request to the API server says who asks, as it is now: a token of a file changes;
/// `None` for a client certificate.
///
/// # Errors
/// When the login fails.
pub async fn authorization(config: &Config) -> Result<Option<HeaderValue>, String> {
    let layer = config.auth_layer().map_err(|error| describe(&error))?;
    let Some(layer) = layer else { return Ok(None) };
    let header = service_fn(|request: Request<Body>| async move {
        let found = request.headers().get(AUTHORIZATION).cloned();
        Ok::<_, BoxError>(Response::new(found))
    });
    // Boxed: without its end the compiler does not see that the error may be sent.
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
    // A peer that vanished without a word: a list would wait for it for ever.
    config.read_timeout = Some(watch::LIFETIME + READ_MARGIN);
    config.reset_reader_on_write = true;
    Ok(config)
}

async fn from_file(path: &Path) -> Result<Config, kube::config::KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

/// Whether the cluster knows both kinds. Discovery, because every account may read it.
async fn ask(client: &Client) -> kube::Result<bool> {
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
