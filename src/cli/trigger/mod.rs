//! `webhook-operator trigger`: sends a signed test event and reports its delivery.

mod event;
mod follow;
mod report;
mod sample;
mod signing;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request, Response};
use kube::ResourceExt as _;
use tokio::time::timeout;
use uuid::Uuid;

use self::event::Event;
pub use self::event::Header;
use self::report::{Answer, Outcome, Report};
use self::sample::Sample;
use self::signing::Keeper;
use crate::cli::Success;
use crate::cli::client::Format;
use crate::cli::client::cluster::TRIGGER;
use crate::cli::client::place::{FolderArgs, Place};
use crate::cli::client::reach::ReachArgs;
use crate::cli::client::target::Target;
use crate::cli::client::way::Way;
use crate::cli::options::time;
use crate::moment::Moment;
use crate::resources::{MAX_BODY_BYTES, Webhook};

/// Timeout of the response, which in Sync mode includes the listener's time.
const ANSWER: Duration = Duration::from_secs(330);

/// Flags of `trigger`.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// Name of the webhook
    #[arg(value_name = "[NAMESPACE/]NAME")]
    webhook: Target,
    /// Namespace of the webhook [default: that of the kubeconfig's context]
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Body: text, @FILE, or - for stdin [default: a small example event of the provider]
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// Header to add or replace; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Header>,
    /// Content type of the body [default: application/json if it is JSON]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<HeaderValue>,
    /// Send to this URL instead; a URL without a path is that of a trigger port. The signature is
    /// for the webhook's own URL [default: that URL]
    #[arg(long, value_name = "URL", conflicts_with = "through_cluster")]
    url: Option<String>,
    /// Send to the trigger port of a replica, through the API server: for URLs that are not
    /// reachable yet
    #[arg(long)]
    through_cluster: bool,
    /// Send it unsigned
    #[arg(long)]
    unsigned: bool,
    /// Do not wait for the delivery
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for the delivery to end
    #[arg(long, default_value = "30s", value_parser = time, value_name = "TIME")]
    timeout: Duration,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    folder: FolderArgs,
    /// Manifests of a standalone operator, for its Secrets
    #[arg(long, env = "WEBHOOK_OPERATOR_MANIFESTS", value_name = "DIR", help_heading = "Where")]
    manifests: Option<PathBuf>,
}

/// Sends a test event and reports the result.
///
/// # Errors
/// The event could not be sent: one line for the user.
pub async fn trigger(args: TriggerArgs) -> anyhow::Result<Success> {
    let place = Place::find(&args.reach, &args.folder).await?;
    let namespace = args.webhook.namespace.as_deref().or(args.namespace.as_deref());
    let webhook: Webhook = place.one(namespace, &args.webhook.name).await?;
    let (event, signed_as) = event(&args, &place, &webhook).await?;
    let response = send(&args, &place, event).await?;
    let mut report = Report {
        namespace: webhook.namespace().unwrap_or_default(),
        webhook: webhook.name_any(),
        signed_as,
        answer: Answer::read(response.status(), response.headers(), response.body()),
        delivery: None,
        not_followed: None,
    };
    if report.answer.outcome == Outcome::Accepted && !args.no_wait {
        watch(&args, &place, &mut report).await;
    }
    args.output.print(&report, || report.to_text(Moment::now()))?;
    Ok(if report.answer.outcome.is_good() { Success::Yes } else { Success::No })
}

/// The event, and the provider of its signature.
async fn event(
    args: &TriggerArgs,
    place: &Place,
    webhook: &Webhook,
) -> anyhow::Result<(Event, Option<&'static str>)> {
    let body = args.data.as_deref().map(read).transpose()?;
    let entries = &webhook.spec.verify;
    let sample = Sample::of(entries.first().map(|entry| entry.type_.as_str()));
    let id = Uuid::new_v4().to_string();
    let mut event = Event::new(&url(webhook)?, sample, body, id, Moment::wall().0)?;
    event.set(&args.headers, args.content_type.as_ref());
    if args.unsigned || entries.is_empty() {
        return Ok((event, None));
    }
    let namespace = webhook.namespace().unwrap_or_default();
    let manifests = args.manifests.as_deref();
    let keeper = Keeper { place, manifests, namespace: &namespace };
    let (provider, proof) = signing::prove(&keeper, entries, &event).await?;
    event.prove(proof, &args.headers);
    Ok((event, Some(provider)))
}

/// The trigger URL, or why the webhook has none.
fn url(webhook: &Webhook) -> anyhow::Result<String> {
    let status = webhook.status.as_ref();
    if let Some(url) = status.and_then(|status| status.url.clone()) {
        return Ok(url);
    }
    let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    let why = ready.map(|ready| format!("{}: {}", ready.reason, ready.message));
    let why = why.unwrap_or_else(|| "no operator has observed it yet".into());
    bail!("the webhook has no URL: {why}")
}

/// The body that a flag names.
fn read(data: &str) -> anyhow::Result<Bytes> {
    let read = |source: &mut dyn std::io::Read| {
        let mut body = Vec::new();
        // One byte above the largest limit is enough for the operator to reject it.
        source.take(MAX_BODY_BYTES as u64 + 1).read_to_end(&mut body).map(|_| body.into())
    };
    match (data, data.strip_prefix('@')) {
        ("-", _) => read(&mut std::io::stdin()).context("stdin"),
        (_, Some(path)) => std::fs::File::open(path)
            .and_then(|mut file| read(&mut file))
            .with_context(|| format!("cannot read {path}")),
        _ => Ok(Bytes::copy_from_slice(data.as_bytes())),
    }
}

async fn send(args: &TriggerArgs, place: &Place, event: Event) -> anyhow::Result<Response<Bytes>> {
    let (way, request, else_what) = match (&args.url, place) {
        (Some(url), _) => {
            let (base, request) = event.into_another(url).context("--url")?;
            (Way::to_server(&base)?, request, "")
        }
        (None, Place::Cluster(cluster)) if args.through_cluster => {
            let pods = cluster.pods(&args.reach).await?;
            let (_, way) = cluster.ways(&pods, &args.reach, &TRIGGER)?.swap_remove(0);
            (way, event.into_port()?, "")
        }
        (None, Place::Folder(_)) if args.through_cluster => {
            bail!("--through-cluster needs a cluster: set --kubeconfig");
        }
        (None, Place::Cluster(_)) => {
            let (base, request) = event.into_url()?;
            let hint = "; use --through-cluster to send it to a replica through the API server";
            (Way::to_server(&base)?, request, hint)
        }
        (None, Place::Folder(_)) => {
            let (base, request) = event.into_url()?;
            (Way::to_server(&base)?, request, "; check that the operator is running")
        }
    };
    exchange(&way, request).await.with_context(|| format!("the event was not sent{else_what}"))
}

async fn exchange(way: &Way, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
    let answer = timeout(ANSWER, way.send(request)).await;
    Ok(answer.with_context(|| format!("no answer within {} s", ANSWER.as_secs()))??)
}

/// Reads the state of the stored event's delivery. If that fails, the event is stored all the same.
async fn watch(args: &TriggerArgs, place: &Place, report: &mut Report) {
    let Some(id) = report.answer.event_id else { return };
    let followed = async {
        let operator = place.operator(&args.reach).await?;
        follow::follow(&operator, id, args.timeout).await
    };
    match followed.await {
        Ok(delivery) => report.follow(delivery),
        Err(why) => report.not_followed = Some(format!("{why:#}")),
    }
}
