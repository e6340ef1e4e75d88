//! `spec.delivery` and `spec.dedup`, compiled for use.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::duration;
use super::expressions::compiled;
use super::guards::{Fault, invalid};
use crate::resources::reason::StalledReason;
use crate::resources::verify::{VerifyEntry, VerifyType};
use crate::resources::{self, DeliveryMode};
use crate::retry::{Backoff, Policy};
use crate::routes::{Dedup, DedupBy, Delivery};
use crate::verify::Provider;

/// Maximum number of attempts with exponential backoff where the spec sets none.
const GROWING_ATTEMPTS: u32 = 8;

/// Dedup window of a provider's delivery id: no provider retries for longer.
const PROVIDER_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// The default policy, shared by the many apps that set none.
static DEFAULT_POLICY: LazyLock<Arc<Policy>> = LazyLock::new(Arc::default);

/// Compiles the delivery settings of a webhook.
///
/// # Errors
/// The first mistake in the spec.
pub(super) fn of_webhook(
    delivery: Option<&resources::Delivery>,
    dedup: Option<&resources::Dedup>,
    verify: &[VerifyEntry],
) -> Result<Delivery, Fault> {
    let default = resources::Delivery::default();
    let resources::Delivery { mode, ordering, retry } = delivery.unwrap_or(&default);
    let dedup = match dedup {
        Some(dedup) => dedup.enabled.then(|| dedup_of(dedup)).transpose()?,
        None => provider_dedup(verify),
    };
    let dedup = dedup.filter(|_| *mode == DeliveryMode::Queued);
    let retry = retry.as_ref().map(policy).transpose()?;
    Ok(Delivery {
        mode: *mode,
        ordering: *ordering,
        retry: retry.map(Arc::new),
        dedup: dedup.map(Box::new),
    })
}

/// Compiles the concurrency and the retry policy of an app.
///
/// # Errors
/// The first mistake in the spec.
pub(super) fn of_app(
    delivery: Option<&resources::AppDelivery>,
) -> Result<(usize, Arc<Policy>), Fault> {
    let default = resources::AppDelivery::default();
    let resources::AppDelivery { concurrency, retry } = delivery.unwrap_or(&default);
    let concurrency = usize::try_from(*concurrency).ok().filter(|number| *number > 0);
    let concurrency =
        concurrency.ok_or_else(|| invalid("spec.delivery.concurrency is not positive".into()))?;
    let retry = retry.as_ref().map(policy).transpose()?;
    Ok((concurrency, retry.map_or_else(|| DEFAULT_POLICY.clone(), Arc::new)))
}

fn policy(retry: &resources::Retry) -> Result<Policy, Fault> {
    let resources::Retry {
        max_attempts,
        schedule,
        initial_interval,
        multiplier,
        max_interval,
        jitter,
        max_age,
    } = retry;
    let grows = initial_interval.is_some() || multiplier.is_some() || max_interval.is_some();
    let backoff = if grows {
        Backoff::Exponential {
            initial: wait("initialInterval", initial_interval.as_deref().unwrap_or("5s"))?,
            multiplier: multiplier.unwrap_or(2.0),
            max: wait("maxInterval", max_interval.as_deref().unwrap_or("1h"))?,
        }
    } else {
        schedule.as_deref().map_or_else(|| Ok(DEFAULT_POLICY.backoff.clone()), schedule_of)?
    };
    let max_attempts = match (max_attempts, &backoff) {
        (Some(number), _) => u32::try_from(*number)
            .map_err(|_| invalid("spec.delivery.retry.maxAttempts is not positive".into()))?,
        (None, Backoff::Schedule(waits)) => waits.len() as u32 + 1,
        (None, Backoff::Exponential { .. }) => GROWING_ATTEMPTS,
    };
    let max_age = max_age.as_deref().map(|age| wait("maxAge", age)).transpose()?;
    Ok(Policy { backoff, jitter: *jitter, max_attempts, max_age })
}

fn schedule_of(waits: &[String]) -> Result<Backoff, Fault> {
    let waits = waits.iter().map(|text| wait("schedule", text));
    waits.collect::<Result<Box<[_]>, _>>().map(Backoff::Schedule)
}

fn wait(field: &str, text: &str) -> Result<Duration, Fault> {
    duration::parse(text)
        .ok_or_else(|| invalid(format!("spec.delivery.retry.{field} is not a duration")))
}

fn dedup_of(dedup: &resources::Dedup) -> Result<Dedup, Fault> {
    let resources::Dedup { enabled: _, header, key, window } = dedup;
    let by = match (header, key) {
        (Some(header), None) => DedupBy::Header(
            header.parse().map_err(|_| invalid("spec.dedup.header is not a header name".into()))?,
        ),
        (None, Some(key)) => {
            DedupBy::Key(compiled(key, "spec.dedup.key", StalledReason::InvalidDedupKey)?)
        }
        _ => return Err(invalid("spec.dedup: exactly one of header and key must be set".into())),
    };
    let window = duration::parse(window)
        .ok_or_else(|| invalid("spec.dedup.window is not a duration".into()))?;
    Ok(Dedup { by, window })
}

fn provider_dedup(verify: &[VerifyEntry]) -> Option<Dedup> {
    let names_deliveries = verify.iter().any(names_deliveries);
    names_deliveries.then_some(Dedup { by: DedupBy::Provider, window: PROVIDER_WINDOW })
}

/// Whether triggers that an entry accepts can have a delivery id.
fn names_deliveries(entry: &VerifyEntry) -> bool {
    match (entry.type_, &entry.hmac) {
        (VerifyType::Hmac, hmac) => {
            hmac.as_ref().is_some_and(|hmac| hmac.id_header.is_some() || hmac.delivery_id.is_some())
        }
        (type_, _) => Provider::named(type_.as_str()).is_some_and(Provider::names_deliveries),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::expression::Expression;
    use crate::resources::Ordering;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn policy_of(retry: Value) -> Policy {
        policy(&serde_json::from_value(retry).unwrap()).unwrap()
    }

    fn delivery(spec: Value) -> Result<Delivery, Fault> {
        let mut object = json!({
            "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook", "metadata": {"name": "a"},
            "spec": {"app": "shop", "action": "pay"},
        });
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let spec = serde_json::from_value::<resources::Webhook>(object).unwrap().spec;
        of_webhook(spec.delivery.as_ref(), spec.dedup.as_ref(), &spec.verify)
    }

    /// What makes two events of a queued webhook the same.
    fn dedup(mut spec: Value) -> Option<Dedup> {
        spec["delivery"] = json!({"mode": "Queued"});
        delivery(spec).unwrap().dedup.map(|dedup| *dedup)
    }

    fn verify(entry: Value) -> Value {
        json!({"verify": [{"type": "Bearer", "secretRefs": []}, entry]})
    }

    #[test]
    fn a_policy_has_a_schedule_or_waits_that_grow() {
        let schedule =
            |waits: &[u64]| Backoff::Schedule(waits.iter().map(|wait| seconds(*wait)).collect());
        let grows = |initial, multiplier, max| Backoff::Exponential {
            initial: seconds(initial),
            multiplier,
            max: seconds(max),
        };
        let standard = schedule(&[5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]);
        for (retry, backoff, attempts) in [
            (json!({}), standard.clone(), 8),
            (json!({"maxAttempts": 3}), standard, 3),
            (json!({"schedule": ["1s", "1m30s", "1h"]}), schedule(&[1, 90, 3_600]), 4),
            (json!({"schedule": ["1s"], "maxAttempts": 100}), schedule(&[1]), 100),
            (json!({"initialInterval": "1s"}), grows(1, 2.0, 3_600), 8),
            (json!({"multiplier": 1.5}), grows(5, 1.5, 3_600), 8),
            (json!({"maxInterval": "30s", "maxAttempts": 20}), grows(5, 2.0, 30), 20),
        ] {
            let policy = policy_of(retry.clone());
            assert_eq!((policy.backoff, policy.max_attempts), (backoff, attempts), "{retry}");
            assert_eq!((policy.jitter, policy.max_age), (0.2, None), "{retry}");
        }
        let policy = policy_of(json!({"jitter": 0, "maxAge": "72h"}));
        assert_eq!((policy.jitter, policy.max_age), (0.0, Some(seconds(72 * 3_600))));
    }

    #[test]
    fn an_app_that_says_nothing_has_the_defaults() {
        assert_eq!(of_app(None).unwrap(), (16, Arc::new(Policy::default())));
        let own = serde_json::from_value(json!({"concurrency": 1, "retry": {"maxAttempts": 1}}));
        let (concurrency, policy) = of_app(Some(&own.unwrap())).unwrap();
        assert_eq!((concurrency, policy.max_attempts), (1, 1));
    }

    #[test]
    fn a_webhook_says_how_it_is_queued() {
        let queued = json!({"mode": "Queued", "ordering": "Fifo", "retry": {"maxAttempts": 2}});
        let queued = delivery(json!({"delivery": queued})).unwrap();
        assert_eq!((queued.mode, queued.ordering), (DeliveryMode::Queued, Ordering::Fifo));
        assert_eq!(queued.retry.unwrap().max_attempts, 2);
        let plain = delivery(json!({"delivery": {"mode": "Queued"}})).unwrap();
        assert_eq!((plain.retry, plain.dedup), (None, None));
        assert_eq!(delivery(json!({})).unwrap(), Delivery::default());
    }

    #[test]
    fn duplicates_are_known_by_what_the_webhook_says() {
        let by_header = dedup(json!({"dedup": {"header": "X-Id", "window": "90s"}})).unwrap();
        let header = DedupBy::Header(http::HeaderName::from_static("x-id"));
        assert_eq!(by_header, Dedup { by: header, window: seconds(90) });
        let by_key = dedup(json!({"dedup": {"key": "event.id"}})).unwrap();
        let key = Arc::new(Expression::compile("event.id").unwrap());
        assert_eq!(by_key, Dedup { by: DedupBy::Key(key), window: seconds(86_400) });
        let sync = json!({"dedup": {"header": "X-Id"}, "delivery": {"mode": "Sync"}});
        assert_eq!(delivery(sync).unwrap().dedup, None);
    }

    #[test]
    fn a_provider_that_names_its_deliveries_makes_duplicates_known() {
        let hmac = |hmac: Value| verify(json!({"type": "Hmac", "hmac": hmac}));
        let provider = Some(Dedup { by: DedupBy::Provider, window: seconds(86_400) });
        for (spec, expected) in [
            (json!({}), None),
            (verify(json!({"type": "GitHub"})), provider.clone()),
            (verify(json!({"type": "GitLab"})), provider.clone()),
            (verify(json!({"type": "Stripe"})), provider.clone()),
            (verify(json!({"type": "StandardWebhooks"})), provider.clone()),
            (verify(json!({"type": "Basic"})), None),
            (verify(json!({"type": "Meta"})), None),
            (hmac(json!({"header": "X-S"})), None),
            (
                hmac(json!({"header": "X-S", "idHeader": "X-Id", "signed": "{id}{body}"})),
                provider.clone(),
            ),
            (hmac(json!({"header": "X-S", "deliveryId": {"pointer": "/id"}})), provider),
        ] {
            assert_eq!(dedup(spec.clone()), expected, "{spec}");
        }
        let mut own = verify(json!({"type": "GitHub"}));
        own["dedup"] = json!({"enabled": false});
        assert_eq!(dedup(own.clone()), None);
        own["dedup"] = json!({"header": "X-Id"});
        assert!(matches!(dedup(own).unwrap().by, DedupBy::Header(_)), "what is said goes before");
        let mut sync = verify(json!({"type": "GitHub"}));
        sync["delivery"] = json!({"mode": "Sync"});
        assert_eq!(delivery(sync).unwrap().dedup, None, "nothing is stored");
    }

    #[test]
    fn a_key_that_does_not_compile_is_told_with_its_place() {
        let fault = delivery(json!({"dedup": {"key": "event.id +"}})).unwrap_err();
        assert_eq!(fault.reason, StalledReason::InvalidDedupKey);
        let told = fault.message.starts_with("spec.dedup.key does not compile: 1:");
        assert!(told, "{}", fault.message);
    }
}
