//! The identity Secret, and what a cluster that cannot be used is told.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use webhook_operator::plan::{Key, Kind};
use webhook_operator::source::kubernetes::{Kubernetes, KubernetesError, Options};

use crate::cluster::Cluster;
use crate::fixture::{Operator, Site};

const SECRET: &str = "secret/webhook-operator-identity";

async fn uuid(kubernetes: &Kubernetes) -> uuid::Uuid {
    let key = kubernetes.identity_key().await.expect("a key");
    key.uuid(Kind::Webhook, &Key::new("namespace", "name"))
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_have_the_same_key() {
    let site = Site::new();
    let connect = || Kubernetes::connect(site.options());
    let (a, b, c) = tokio::join!(connect(), connect(), connect());
    let [a, b, c] = [a, b, c].map(|kubernetes| kubernetes.expect("a cluster"));
    let (first, second, third) = tokio::join!(uuid(&a), uuid(&b), uuid(&c));
    assert_eq!((first, first), (second, third));
    assert_eq!(uuid(&a).await, first);
    let secret = site.get(SECRET);
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret["metadata"]["labels"]["app.kubernetes.io/name"], "webhook-operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_key_is_an_error_and_is_not_replaced() {
    let site = Site::new();
    let name = "webhook-operator-identity";
    site.kubectl(&["create", "secret", "generic", name, "--from-literal=key=too-short"]);
    let error = Operator::try_start(site.options()).await.err().expect("an error");
    assert!(matches!(error, KubernetesError::MalformedSecret(_)), "{error:?}");
    let said = error.to_string();
    assert!(said.starts_with(&format!("Secret {}/{name} does not hold", site.namespace)), "{said}");
    assert_eq!(site.get(SECRET)["data"]["key"], "dG9vLXNob3J0");
}

fn at(server: &str) -> (tempfile::NamedTempFile, Options) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let context = "clusters: [{name: a, cluster: {server: 'SERVER'}}]
users: [{name: a, user: {}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
current-context: a";
    file.write_all(context.replace("SERVER", server).as_bytes()).expect("written");
    let options = Options { kubeconfig: Some(file.path().into()), ..Options::default() };
    (file, options)
}

async fn refusal(options: Options) -> String {
    let error = Kubernetes::connect(options).await.err().expect("an error");
    let said = error.to_string();
    assert!(!said.contains('\n'), "one line: {said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_not_there_is_one_clear_error() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (_file, options) = at(&format!("http://{free}"));
    let said = refusal(options).await;
    assert!(said.starts_with(&format!("cannot use the API server at http://{free}/: ")), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_answer_is_given_up_after_5_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (_file, options) = at(&format!("http://{}", silent.local_addr().expect("an address")));
    let start = Instant::now();
    assert!(refusal(options).await.ends_with("no response within 5 s"));
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_kubeconfig_is_one_clear_error() {
    let options = Options { kubeconfig: Some("no/such/file".into()), ..Options::default() };
    let said = refusal(options).await;
    assert!(
        said.starts_with("no cluster to connect to: ") && said.contains("no/such/file"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_definitions_is_told_how_to_get_them() {
    let cluster = Cluster::start();
    let kubeconfig = Some(cluster.kubeconfig().into());
    let said = refusal(Options { kubeconfig, ..Options::default() }).await;
    assert!(said.starts_with(&format!("the cluster at {}", cluster.server())), "{said}");
    assert!(said.contains("`webhook-operator crds | kubectl apply --server-side -f -`"), "{said}");
}
