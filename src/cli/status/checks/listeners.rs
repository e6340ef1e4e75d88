//! Problems of listeners. Pure.

use crate::cli::client::called::command;
use crate::cli::status::conditions::{find, is_true, since};
use crate::cli::status::finding::Finding;
use crate::cli::status::observed::Observed;
use crate::plan::Key;
use crate::resources::conditions::LISTENER_REACHABLE;

pub fn listeners(observed: &Observed) -> Vec<Finding> {
    let found = observed.apps().iter().filter_map(|app| {
        let conditions = &app.status.as_ref()?.conditions;
        let reachable =
            find(conditions, LISTENER_REACHABLE).filter(|found| found.status == "False")?;
        let key = Key::of(app);
        let mut commands = Vec::new();
        if let (true, Some(service)) = (observed.is_cluster(), &app.spec.listener.service) {
            let label = format!("kubernetes.io/service-name={}", service.name);
            commands.push(format!("kubectl get endpointslices -n {} -l {label}", key.namespace));
        }
        commands.push(command(&format!("deliveries list -n {} --state pending", key.namespace)));
        Some(
            Finding::problem(format!("The listener of WebhookApp {key}"), "does not answer")
                .since(since(reachable))
                .because(reachable.message.clone())
                .so("Fix the listener: queued events are then delivered automatically", commands),
        )
    });
    found.collect()
}

pub fn endpoints(observed: &Observed) -> Vec<Finding> {
    let found = observed.apps().iter().filter_map(|app| {
        let service = app.spec.listener.service.as_ref()?;
        let key = Key::of(app);
        let named = Key::new(key.namespace.clone(), service.name.as_str());
        let conditions = app.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
        if !is_true(conditions, "Ready") || observed.endpoints.get(&named) != Some(&false) {
            return None;
        }
        let what = format!("has no ready endpoint behind its Service {}", service.name);
        Some(
            Finding::problem(format!("WebhookApp {key}"), what)
                .because("Events stay in the queue, and triggers of mode Sync get 503")
                .so(
                    "Check that the Service selects pods and that they are ready",
                    [
                        format!("kubectl describe service {} -n {}", service.name, key.namespace),
                        format!("kubectl get pods -n {}", key.namespace),
                    ],
                ),
        )
    });
    found.collect()
}
