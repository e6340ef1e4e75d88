//! `webhook-operator listen`: a development listener that prints each call.

mod call;
mod printer;
mod server;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::StatusCode;
use tokio::sync::watch;

pub use call::Call;
pub use server::{Answer, DevListener};

use printer::Printer;

/// Timeout for writing the remaining output when the listener stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A development listener that prints each call
#[derive(Args, Clone, Debug)]
pub struct ListenArgs {
    /// Port to listen on; 0 takes a free port
    // The variables have the subcommand in their name, because Kubernetes sets variables such as
    // WEBHOOK_OPERATOR_PORT for a Service webhook-operator.
    #[arg(long, env = "WEBHOOK_OPERATOR_LISTEN_PORT", default_value_t = 8090)]
    pub port: u16,
    /// Host name or address to listen on
    #[arg(long, env = "WEBHOOK_OPERATOR_LISTEN_HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// Status of the response, 200 to 599; a call overrides it with ?status=503
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_LISTEN_STATUS",
        default_value = "200",
        value_parser = server::parse_status
    )]
    pub status: StatusCode,
    /// Delay of the response, such as 2s or 100ms; a call overrides it with ?delay=2s
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_LISTEN_DELAY",
        default_value = "0s",
        value_parser = server::parse_delay
    )]
    pub delay: Duration,
    /// Body of the response
    #[arg(long, env = "WEBHOOK_OPERATOR_LISTEN_BODY", default_value = "ok")]
    pub body: String,
}

/// Serves until `stop` turns true, and prints each call to stdout.
///
/// # Errors
/// The address cannot be bound.
pub async fn listen(args: ListenArgs, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let ListenArgs { port, host, status, delay, body } = args;
    let (listener, address) = DevListener::bind((host.as_str(), port))
        .await
        .with_context(|| format!("cannot listen on {host}:{port}"))?;
    let printer = Printer::stdout().context("cannot start the thread that prints")?;
    printer.print(format!("listening on http://{address}\n"));
    let shown = printer.clone();
    let answer = Answer { status, delay, body: body.into() };
    listener.answering(answer).run(stop, move |call| shown.print(call.to_string())).await;
    printer.finish(FLUSH_TIMEOUT).await;
    Ok(())
}
