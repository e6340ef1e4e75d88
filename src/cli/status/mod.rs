//! `webhook-operator status`: reports problems and how to fix them.

mod advice;
mod checks;
mod conditions;
mod finding;
mod observe;
mod observed;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use self::finding::{Finding, Severity};
use self::observe::Scope;
use self::observed::{Observed, Operator};
use crate::cli::Success;
use crate::cli::client::Format;
use crate::cli::client::place::{FolderArgs, Place};
use crate::cli::client::reach::{ReachArgs, ScopeArgs};
use crate::cli::client::table::clean;
use crate::cli::client::target::Target;
use crate::moment::Moment;

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only this webhook and its app [default: all of the namespace]
    #[arg(value_name = "[NAMESPACE/]NAME", conflicts_with = "all_namespaces")]
    webhook: Option<Target>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    folder: FolderArgs,
}

/// The output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Whether there is no problem.
    well: bool,
    /// Number of apps checked.
    apps: usize,
    /// Number of webhooks checked.
    webhooks: usize,
    /// Problems and remarks.
    findings: Vec<Finding>,
    /// Parts that could not be read, with the error.
    not_looked_at: Vec<String>,
}

/// Prints the report.
///
/// # Errors
/// The resources cannot be read: one line for the user.
pub async fn status(args: StatusArgs) -> anyhow::Result<Success> {
    let place = Place::find(&args.reach, &args.folder).await?;
    let target = args.webhook.as_ref();
    let named = target.and_then(|target| target.namespace.clone()).or(args.scope.namespace);
    let default = || place.namespace().map(str::to_owned);
    let scope = Scope {
        namespace: if args.scope.all_namespaces { None } else { named.or_else(default) },
        webhook: target.map(|target| target.name.clone()),
    };
    let observed = observe::observe(&place, &args.reach, &scope).await?;
    let report = Report::of(&observed);
    let now = observed.now;
    args.output.print(&report, || report.to_text(&observed.operator, &scope, now))?;
    Ok(if report.well { Success::Yes } else { Success::No })
}

impl Report {
    fn of(observed: &Observed) -> Self {
        let findings = checks::findings(observed);
        Self {
            well: findings.iter().all(|finding| finding.severity != Severity::Problem),
            apps: observed.apps().len(),
            webhooks: observed.webhooks().len(),
            findings,
            not_looked_at: observed.unseen.clone(),
        }
    }

    fn to_text(&self, operator: &Operator, scope: &Scope, now: Moment) -> String {
        let mut text = String::new();
        if self.well {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}\n", self.all_is_well(operator, scope));
        }
        for finding in &self.findings {
            let _ = writeln!(text, "{}\n", finding.to_text(now));
        }
        for why in &self.not_looked_at {
            let _ = writeln!(text, "Not checked: {}.", clean(why));
        }
        text
    }

    fn all_is_well(&self, operator: &Operator, scope: &Scope) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let place = match (operator, &scope.namespace) {
            (_, Some(namespace)) => format!(" in the namespace {}", clean(namespace)),
            (Operator::Cluster { .. }, None) => " in all namespaces".into(),
            (Operator::Standalone { .. }, None) => String::new(),
        };
        let replicas = match operator {
            Operator::Cluster { pods: Some(pods), .. } => {
                format!("; {} of the operator", count(pods.len(), "ready replica"))
            }
            Operator::Cluster { pods: None, .. } => String::new(),
            Operator::Standalone { .. } => "; the operator is ready".into(),
        };
        let (apps, webhooks) = (count(self.apps, "app"), count(self.webhooks, "webhook"));
        format!("All is well: {apps} and {webhooks}{place}{replicas}.")
    }
}
