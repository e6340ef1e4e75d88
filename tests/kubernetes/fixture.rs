//! What the tests share: one API server, a namespace for each test, operators to start in it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use webhook_operator::moment::Moment;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::endpoints::ManualEndpoints;
use webhook_operator::plan::{Counted, Key, Settings};
use webhook_operator::resources::{DeliveryCounts, crds};
use webhook_operator::routes::{Id, Table};
use webhook_operator::source::kubernetes::{Kubernetes, KubernetesError, Options, Running};
use webhook_operator::source::{Counting, PlanRunner, Tallies};
use webhook_operator::store::HistoryScope;

use crate::cluster::Cluster;
use crate::support::rbac;

/// Generous: the machine may be compiling beside the tests.
const DEADLINE: Duration = Duration::from_secs(30);

/// The API server that runs now, if any: it ends with the last test that uses it.
static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// The API server of all tests, with the CRDs.
pub fn shared_cluster() -> Arc<Cluster> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(fresh_cluster());
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

/// An API server of one test, with the CRDs.
pub fn fresh_cluster() -> Cluster {
    let cluster = Cluster::start();
    install_crds(&cluster);
    cluster
}

/// Installs what `webhook-operator crds` prints, and waits until the API server serves it.
pub fn install_crds(cluster: &Cluster) {
    install(cluster, &crds::all().iter().map(crds::to_yaml).collect::<Vec<_>>().join("\n---\n"));
}

/// Installs definitions of the two kinds.
pub fn install(cluster: &Cluster, yaml: &str) {
    let output = cluster.kubectl_stdin(&["apply", "--server-side", "-f", "-"], yaml);
    assert!(output.ok, "{}", output.stderr);
    let names = ["crd/webhookapps.lenra.io", "crd/webhooks.lenra.io"];
    let output = cluster
        .kubectl(&[&["wait", "--for=condition=Established", "--timeout=30s"], &names[..]].concat());
    assert!(output.ok, "{}", output.stderr);
    // Discovery follows a little later.
    let deadline = Instant::now() + DEADLINE;
    while !cluster.kubectl(&["get", "webhooks,webhookapps", "-A"]).ok {
        assert!(Instant::now() < deadline, "the API server does not serve the CRDs");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A namespace with the operator's ServiceAccount and rights in it.
pub struct Site<C = Arc<Cluster>> {
    pub cluster: C,
    pub namespace: String,
    kubeconfig: PathBuf,
}

impl Site {
    /// A fresh namespace of the shared API server.
    pub fn new() -> Self {
        Self::of(shared_cluster())
    }
}

impl<C: std::ops::Deref<Target = Cluster>> Site<C> {
    /// A fresh namespace of this API server.
    pub fn of(cluster: C) -> Self {
        let namespace = new_namespace(&cluster);
        cluster.apply(&rbac::cluster_wide(&namespace));
        let kubeconfig = cluster.kubeconfig_as(&namespace, "webhook-operator");
        Self { cluster, namespace, kubeconfig }
    }

    /// How the operator of this site connects; it serves this namespace alone.
    pub fn options(&self) -> Options {
        Options {
            kubeconfig: Some(self.kubeconfig.clone()),
            namespace: None,
            watch_namespaces: vec![self.namespace.clone()],
            pod: None,
        }
    }

    /// An operator that has listed everything once.
    pub async fn operator(&self) -> Operator {
        Operator::start(self.options()).await
    }

    /// An operator that counts what a test says, this often.
    pub async fn operator_counting(&self, said: &Arc<Said>, interval: Duration) -> Operator {
        let counting = Counting { tallies: said.clone(), interval };
        let operator = Operator::try_counting(self.options(), counting).await.expect("a cluster");
        operator.synced().await
    }

    /// An operator that calls these endpoints of Services.
    pub async fn operator_allowing(&self, manual_endpoints: ManualEndpoints) -> Operator {
        let listeners = ListenerPolicy { manual_endpoints, ..listeners() };
        let operator = Operator::start_with(self.options(), Operator::uncounted(), listeners).await;
        operator.expect("a cluster").synced().await
    }

    /// Applies a manifest in this namespace.
    pub fn apply(&self, manifest: &Value) {
        self.cluster.apply(&self.placed(manifest));
    }

    /// Applies a manifest that must be refused; returns why it was.
    pub fn apply_refused(&self, manifest: &Value) -> String {
        self.cluster.apply_refused(&self.placed(manifest))
    }

    /// Runs kubectl in this namespace, which must succeed; returns what it prints.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let output = self.cluster.kubectl(&[args, &["-n", &self.namespace]].concat());
        assert!(output.ok, "kubectl {args:?}: {}", output.stderr);
        output.stdout
    }

    /// Reads an object: `"webhook/name"`.
    pub fn get(&self, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", object, "-o", "json"]))
            .expect("JSON of kubectl")
    }

    /// Waits until a condition is `True`, as a person would.
    pub fn wait(&self, object: &str, condition: &str) {
        let condition = format!("--for=condition={condition}");
        self.kubectl(&["wait", object, &condition, "--timeout=30s"]);
    }

    /// Waits until the `Ready` condition of an object has a reason; returns its message.
    pub async fn wait_for_reason(&self, object: &str, reason: &str) -> String {
        let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}";
        eventually(&format!("{object} to be {reason}"), || {
            self.kubectl(&["get", object, "-o", path]) == reason
        })
        .await;
        let ready = &self.get(object)["status"]["conditions"][0];
        assert_eq!(ready["type"], "Ready");
        ready["message"].as_str().expect("a message").to_owned()
    }

    /// The key of an object in this namespace.
    pub fn key(&self, name: &str) -> Key {
        Key::new(&*self.namespace, name)
    }

    fn placed(&self, manifest: &Value) -> String {
        let mut manifest = manifest.clone();
        manifest["metadata"]["namespace"] = json!(self.namespace);
        manifest.to_string()
    }
}

/// Makes a namespace that no other test has.
pub fn new_namespace(cluster: &Cluster) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let namespace = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let output = cluster.kubectl(&["create", "namespace", &namespace]);
    assert!(output.ok, "{}", output.stderr);
    namespace
}

/// An operator as `webhook-operator run` has it, without its ports. Dropped, it is a process that
/// was killed.
pub struct Operator {
    pub kubernetes: Kubernetes,
    pub runner: Arc<PlanRunner>,
    running: Running,
    stop: watch::Sender<bool>,
}

impl Operator {
    pub async fn start(options: Options) -> Self {
        Self::try_start(options).await.expect("a cluster").synced().await
    }

    async fn synced(self) -> Self {
        self.running.synced().wait_for(|synced| *synced).await.expect("synced");
        self
    }

    pub async fn try_start(options: Options) -> Result<Self, KubernetesError> {
        Self::try_counting(options, Self::uncounted()).await
    }

    fn uncounted() -> Counting {
        Counting { tallies: Arc::<Said>::default(), interval: DEADLINE }
    }

    async fn try_counting(options: Options, counting: Counting) -> Result<Self, KubernetesError> {
        Self::start_with(options, counting, listeners()).await
    }

    async fn start_with(
        options: Options,
        counting: Counting,
        listeners: ListenerPolicy,
    ) -> Result<Self, KubernetesError> {
        // Shows what RUST_LOG names; only the first of the tests sets it up.
        drop(tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).try_init());
        let kubernetes = Kubernetes::connect(options).await?;
        let settings = Settings {
            external_url: "https://hooks.example.com".into(),
            listeners,
            identity: kubernetes.identity_key().await?,
            key_sets: Arc::default(),
        };
        let runner = Arc::new(PlanRunner::new(settings, Arc::new(Table::default())));
        let (stop, stopped) = watch::channel(false);
        let running = kubernetes.start(&runner, counting, stopped);
        Ok(Self { kubernetes, runner, running, stop })
    }

    /// Waits until this operator holds the lease.
    pub async fn leads(&self) {
        let mut leading = self.running.leading();
        let leads = leading.wait_for(|leading| *leading);
        tokio::time::timeout(DEADLINE, leads).await.expect("the lease").expect("running");
    }

    pub fn is_leading(&self) -> bool {
        *self.running.leading().borrow()
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        tokio::time::timeout(DEADLINE, self.running.join())
            .await
            .expect("an end")
            .expect("no panic");
    }
}

fn listeners() -> ListenerPolicy {
    ListenerPolicy { allow_url: true, ..ListenerPolicy::default() }
}

/// What became of events, as a test says it; at first it is not known.
#[derive(Default)]
pub struct Said(Mutex<Option<HashMap<Id, Counted>>>);

impl Said {
    /// Of one webhook alone there is something.
    pub fn say(&self, operator: &Operator, webhook: &Key, counts: DeliveryCounts, last: Moment) {
        let planner = operator.runner.planner();
        let found = planner.routes().find(|(_, route)| {
            (&route.app.namespace, &route.name) == (&webhook.namespace, &webhook.name)
        });
        let (id, _) = found.expect("the webhook's route");
        let counted = Counted::new(Some(counts), Some(last));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(HashMap::from([(id, counted)]));
    }
}

impl Tallies for Said {
    fn scope(&self) -> HistoryScope {
        HistoryScope::AllReplicas
    }

    fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async { said.ok_or_else(|| "it was not said".into()) }.boxed()
    }

    fn last_death<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Option<Box<str>>> {
        async { Some("the listener answered 410 Gone".into()) }.boxed()
    }
}

/// Waits until something is so.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still waiting for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A WebhookApp whose listener is a URL, which needs no Service.
pub fn app(name: &str) -> Value {
    json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "WebhookApp",
        "metadata": {"name": name},
        "spec": {"listener": {"url": "http://listener.example.com/hook"}},
    })
}

/// A WebhookApp whose listener is a port of a Service.
pub fn app_of_service(name: &str, service: &str, port: Value) -> Value {
    let mut app = app(name);
    app["spec"]["listener"] = json!({"service": {"name": service, "port": port}});
    app
}

/// A Webhook of an app.
pub fn webhook(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "lenra.io/v1alpha1",
        "kind": "Webhook",
        "metadata": {"name": name},
        "spec": {"app": app, "action": "pay"},
    })
}

/// A Service with one port.
pub fn service(name: &str, port: u16, port_name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": port_name, "port": port}]},
    })
}

/// The same manifest with a field set: `with(app("a"), "/spec/uuid", ..)`.
pub fn with(mut manifest: Value, path: &str, value: Value) -> Value {
    let (parent, field) = path.rsplit_once('/').expect("a path");
    manifest.pointer_mut(parent).expect("the parent")[field] = value;
    manifest
}
