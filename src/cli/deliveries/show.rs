//! `deliveries show`: one delivery with its attempts, headers and body.

use std::fmt::Write as _;

use anyhow::Context;
use clap::Args;
use uuid::Uuid;

use crate::admin::deliveries::view::{AttemptView, ContentView, FullDelivery, TransformedView};
use crate::cli::client::Format;
use crate::cli::client::ask::ask;
use crate::cli::client::reach::{Operator, ReachArgs};
use crate::cli::client::table::{clean, clean_lines, or_none, table};

/// Flags of `deliveries show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Id of the delivery
    #[arg(value_name = "ID")]
    id: Uuid,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Prints a delivery.
pub async fn show(args: ShowArgs) -> anyhow::Result<()> {
    let operator = Operator::find(&args.reach).await?;
    let delivery = find(&operator, args.id).await?;
    args.output.print(&delivery, || as_text(&delivery))
}

/// A delivery, from the replica that has it.
pub async fn find(operator: &Operator, id: Uuid) -> anyhow::Result<FullDelivery> {
    let path = format!("/api/deliveries/{id}");
    let path = &path;
    let answers = ask(operator, |replica| replica.get::<FullDelivery>(path)).await;
    answers.of_one()?.with_context(|| format!("delivery {id} does not exist"))
}

fn as_text(full: &FullDelivery) -> String {
    let delivery = &full.delivery;
    let mut text = String::new();
    let reason = delivery.reason.as_deref().map(|reason| format!(" ({})", clean(reason)));
    let waiting = if delivery.waiting { " (waits for the one before it)" } else { "" };
    for (name, value) in [
        ("Delivery", delivery.id.to_string()),
        ("Event", delivery.event_id.to_string()),
        ("Generation", delivery.generation.to_string()),
        ("Webhook", clean(&format!("{}/{}", delivery.namespace, delivery.webhook))),
        ("App", clean(&delivery.app)),
        ("Action", clean(&delivery.action)),
        ("State", format!("{}{waiting}{}", delivery.state.as_str(), reason.unwrap_or_default())),
        ("Created", delivery.created_at.to_string()),
        ("Next", or_none(delivery.due_at)),
        ("Finished", or_none(delivery.finished_at)),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<12}{value}", format!("{name}:"));
    }
    attempts(&mut text, &full.attempts);
    let _ = writeln!(text, "\nHeaders:");
    for header in &full.headers {
        let _ = writeln!(text, "  {}: {}", clean(&header.name), clean(&header.value));
    }
    let kind =
        full.content_type.as_deref().map_or(String::new(), |kind| format!(", {}", clean(kind)));
    let _ = writeln!(text, "\nBody ({} bytes{kind}):", full.body.bytes);
    content(&mut text, &full.body);
    if let Some(TransformedView { content: transformed, error }) = &full.transformed {
        let _ = writeln!(text, "\nFor the listener, with the current transform:");
        if let Some(transformed) = transformed {
            content(&mut text, transformed);
        }
        if let Some(error) = error {
            let _ = writeln!(text, "error: {}", clean(error));
        }
    }
    text
}

fn attempts(text: &mut String, attempts: &[AttemptView]) {
    let rows = attempts.iter().map(|attempt| {
        vec![
            attempt.number.to_string(),
            attempt.started_at.to_string(),
            format!("{} ms", attempt.duration_milliseconds),
            or_none(attempt.status),
            or_none(attempt.error.as_deref().map(clean)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let table = table(&["ATTEMPT", "STARTED", "TOOK", "STATUS", "ERROR"], &rows);
    let _ = write!(text, "\n{table}");
    for attempt in attempts {
        if let Some(answer) = &attempt.answer {
            let _ = writeln!(text, "\nResponse to attempt {}:", attempt.number);
            content(text, answer);
        }
    }
}

fn content(text: &mut String, content: &ContentView) {
    let shown = match (&content.text, &content.base64) {
        (Some(shown), _) => clean_lines(shown),
        (None, Some(base64)) => format!("base64: {}", clean(base64)),
        (None, None) => String::new(),
    };
    let _ = writeln!(text, "{shown}");
    if content.truncated {
        let _ = writeln!(text, "[truncated]");
    }
}
