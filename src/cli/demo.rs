//! `webhook-operator demo`: an example webhook from declaration to delivery, on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::listen::{Call, DevListener};
use super::options::{Addresses, ServeArgs};
use super::serve::control_runtime;
use super::standalone::{Standalone, StandaloneArgs};
use super::{output, signals};

/// Timeout of each step of the demo.
const STEP: Duration = Duration::from_secs(30);

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Exit after the last step instead of serving until a signal
    #[arg(long, env = "WEBHOOK_OPERATOR_DEMO_ONCE")]
    once: bool,
    /// Keep manifests and data in this folder instead of a temporary one
    #[arg(long, env = "WEBHOOK_OPERATOR_DEMO_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs the steps for one webhook, then serves until a signal.
pub fn demo(args: DemoArgs) -> anyhow::Result<()> {
    control_runtime()?.block_on(async {
        let temporary = args.dir.is_none();
        let folder = args.dir.clone().unwrap_or_else(temporary_folder);
        let stop = signals::stop()?;
        let shown = run(args, &folder, stop).await;
        if temporary {
            let _ = std::fs::remove_dir_all(&folder);
        }
        shown
    })
}

async fn run(args: DemoArgs, folder: &Path, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let (stopper, mut stopping) = watch::channel(false);
    let (listener, listener_address) = DevListener::bind("127.0.0.1:0").await?;
    let (sender, mut calls) = mpsc::channel(16);
    let listening = tokio::spawn(listener.run(stopping.clone(), move |call| {
        // The channel is bounded: calls beyond its capacity are not shown.
        let _ = sender.try_send(call);
    }));
    let manifests = folder.join("manifests");
    write_manifests(&manifests, listener_address)?;
    let (once, serve) = (args.once, args.serve);
    let args = StandaloneArgs::for_demo(manifests.clone(), folder.join("data"), ports(), serve);
    let standalone = Standalone::start(args, stopping.clone()).await?;
    show(&standalone, &manifests, &mut calls).await?;
    if !once {
        print_suggestions(&standalone, &manifests);
        stay(stop, &mut calls).await;
    }
    stopper.send_replace(true);
    let _ = stopping.changed().await;
    standalone.finished().await;
    let _ = listening.await;
    Ok(())
}

/// Declares, triggers and delivers one webhook; then the app creates a second one.
async fn show(
    standalone: &Standalone,
    manifests: &Path,
    calls: &mut mpsc::Receiver<Call>,
) -> anyhow::Result<()> {
    let url = standalone.url_of("demo", "payments").context("the example webhook has no URL")?;
    step(
        "1. Declared",
        &format!("{}:\n\n{}", manifests.join("shop.yaml").display(), webhook_yaml()),
    );
    step("2. URL assigned", &url);
    let event = json!({"type": "paid", "amount": 12});
    step("3. Triggered by an external service", &format!("POST {event}"));
    let (status, answer) = post(&url, None, &event).await?;
    output::line(&format!("   -> {status} {answer}"));
    let call = next(calls).await?;
    step("4. Delivered to the app's listener", &call.to_string());
    let token = call_token(&call).context("the call has no api.token")?;
    let api = format!("http://{}/app/webhooks", standalone.ports.app_api);
    let body = json!({"action": "refund", "props": {"order": 7}});
    step("5. The app creates a webhook with the token of that call", &format!("POST {api} {body}"));
    let (status, made) = post(&api, Some(&token), &body).await?;
    output::line(&format!("   -> {status} {made}"));
    if status != StatusCode::OK {
        bail!("the app API answered {status}");
    }
    Ok(())
}

fn print_suggestions(standalone: &Standalone, manifests: &Path) {
    let url = standalone.url_of("demo", "payments").unwrap_or_default();
    let admin = standalone.ports.admin;
    step(
        "Still serving. Try",
        &format!(
            "curl -i -H 'Content-Type: application/json' -d '{{\"amount\": 99}}' {url}\n   \
             curl -i -d 'a=1&b=2' {url}\n   \
             curl -i -H 'Content-Type: application/json' -d '{{not json' {url}\n   \
             curl -i http://{admin}/readyz\n   \
             curl -i 'http://{admin}/api/deliveries?namespace=demo'\n   \
             http://{admin}/ in a browser\n\n   \
             and edit {}: changes are reloaded. Press Ctrl-C to stop.",
            manifests.join("shop.yaml").display()
        ),
    );
}

/// Prints the calls that the listener receives, until a signal.
async fn stay(mut stop: watch::Receiver<bool>, calls: &mut mpsc::Receiver<Call>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            call = calls.recv() => match call {
                Some(call) => step("The listener received", &call.to_string()),
                None => return,
            },
        }
    }
}

fn step(title: &str, text: &str) {
    output::line(&format!("\n{title}\n   {}", text.trim_end()));
}

async fn next(calls: &mut mpsc::Receiver<Call>) -> anyhow::Result<Call> {
    let call = timeout(STEP, calls.recv()).await.context("the listener received no call")?;
    call.context("the listener stopped")
}

fn call_token(call: &Call) -> Option<String> {
    let body: Value = serde_json::from_slice(&call.body).ok()?;
    Some(body["api"]["token"].as_str()?.to_owned())
}

async fn post(
    url: &str,
    token: Option<&str>,
    body: &Value,
) -> anyhow::Result<(StatusCode, String)> {
    let url = url::Url::parse(url)?;
    let address = url.socket_addrs(|| None)?;
    let stream = TcpStream::connect(&*address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::post(url.path())
        .header(header::HOST, url.authority())
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body.to_string())))?;
    let response = timeout(STEP, sender.send_request(request)).await??;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The default ports if they are free, so that the printed URLs are the same in each run.
fn ports() -> Addresses {
    let free = |port| {
        let usual = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        TcpListener::bind(usual).map_or(SocketAddr::new(usual.ip(), 0), |_| usual)
    };
    Addresses { trigger: free(8080), app_api: free(8081), admin: free(9090), peer: None }
}

fn temporary_folder() -> PathBuf {
    std::env::temp_dir().join(format!("webhook-operator-demo-{}", std::process::id()))
}

fn webhook_yaml() -> &'static str {
    "apiVersion: lenra.io/v1alpha1
kind: Webhook
metadata: {name: payments, namespace: demo}
spec:
  app: shop
  action: paid
  props: {currency: EUR}
"
}

fn write_manifests(folder: &Path, listener: SocketAddr) -> anyhow::Result<()> {
    let app = format!(
        "apiVersion: lenra.io/v1alpha1
kind: WebhookApp
metadata: {{name: shop, namespace: demo}}
spec:
  listener: {{url: \"http://{listener}/\"}}
---
"
    );
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join("shop.yaml"), app + webhook_yaml()))
        .with_context(|| format!("cannot write the example to {}", folder.display()))
}
