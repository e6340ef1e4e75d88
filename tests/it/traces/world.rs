//! An operator that sends its traces somewhere, and the listener that it calls.

use super::collector::Collector;
use super::span::Span;
use crate::support::http::{Response, request};
use crate::support::listener::{Call, Listener};
use crate::support::operator::{self, Folders, Operator, queued_manifest};

/// The name of the span of a request.
pub const RECEIVE: &str = "POST /apps/{app}/webhooks/{webhook}";

/// The sender's trace, and its span in there.
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const SENDER: &str = "00f067aa0ba902b7";

/// The key of the GitHub webhook in [`signed`].
pub const SECRET: &str = "no-collector-may-see-this";

pub struct World {
    pub listener: Listener,
    pub operator: Operator,
    _folders: Folders,
}

impl World {
    /// A webhook with this in its spec, and what else is there; traces as these variables say, sent at
    /// once.
    pub fn new(webhook: &str, others: &str, variables: &[(&str, &str)]) -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        folders.write("shop.yaml", &queued_manifest(&listener.url, "", webhook));
        folders.write("others.yaml", others);
        let (manifests, data) = (folders.manifests(), folders.data());
        let mut command = operator::command(&["standalone"]);
        command.arg("--manifests").arg(manifests).arg("--data-dir").arg(data);
        command.env("OTEL_BSP_SCHEDULE_DELAY", "50").envs(variables.iter().copied());
        let mut operator = Operator::spawn(command);
        operator.await_ready();
        Self { listener, operator, _folders: folders }
    }

    /// With a webhook that is signed as GitHub signs.
    pub fn signed(delivery: &str, variables: &[(&str, &str)]) -> Self {
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: gh, namespace: team-a}}\nstringData: {{key: {SECRET}}}\n"
        );
        let webhook = format!(
            "  delivery: {{{delivery}}}\n  verify: [{{type: GitHub, secretRefs: [{{name: gh, key: key}}]}}]"
        );
        Self::new(&webhook, &secret, variables)
    }

    /// Sends an event with these headers.
    pub fn send(&self, headers: &[(&str, &str)]) -> Response {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        request("POST", &self.operator.url(), &all, br#"{"word":"in-the-body"}"#)
    }

    /// Ends it as an orchestrator does, and waits for that.
    pub fn end(&mut self) {
        self.operator.terminate();
        assert!(self.operator.wait().success());
    }
}

/// The sender's header, with these flags.
pub fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{SENDER}-{flags}")
}

/// Trace, parent and flags of a call.
pub fn told(call: &Call) -> (String, String, String) {
    let fields: Vec<_> = call.header("traceparent").expect("traceparent").split('-').collect();
    assert_eq!((fields.len(), fields[0]), (4, "00"));
    (fields[1].into(), fields[2].into(), fields[3].into())
}

/// The one span with this name.
pub fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let all: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(all.len(), 1, "{name}: {spans:#?}");
    all[0]
}

/// The variables for a collector, over this protocol.
pub fn to<'a>(collector: &'a Collector, protocol: &'a str) -> [(&'a str, &'a str); 2] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
    ]
}
