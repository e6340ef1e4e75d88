//! Logs: text on a terminal, JSON otherwise, always on stderr.

use std::io::IsTerminal;

use clap::Args;
use tracing_subscriber::EnvFilter;

/// Flags of logging.
#[derive(Debug, Args)]
pub struct TelemetryArgs {
    /// Log filter: a level (error, warn, info, debug, trace), or directives such as
    /// `info,webhook_operator=debug`
    #[arg(long, global = true, env = "WEBHOOK_OPERATOR_LOG_LEVEL", default_value = "info", value_parser = filter)]
    log_level: String,
}

impl TelemetryArgs {
    /// Starts logging.
    pub fn start(&self) {
        // kube logs each failed request; the source logs each outage, once.
        let filter =
            EnvFilter::new(format!("kube_client=off,kube_runtime=error,{}", self.log_level));
        let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        if std::io::stderr().is_terminal() {
            logs.with_target(false).init();
        } else {
            logs.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
