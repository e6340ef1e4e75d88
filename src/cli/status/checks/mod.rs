//! The checks: small functions from the observed state to findings. Pure.

mod deliveries;
mod listeners;
mod operator;
mod resources;

use super::finding::Finding;
use super::observed::Observed;

type Check = fn(&Observed) -> Vec<Finding>;

/// Ordered so that causes come before their effects.
const CHECKS: [Check; 11] = [
    operator::definitions,
    operator::replicas,
    operator::leader,
    operator::standalone,
    resources::apps,
    listeners::listeners,
    listeners::endpoints,
    resources::webhooks,
    deliveries::dead,
    deliveries::pending,
    deliveries::orphaned,
];

/// Problems and remarks.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| check(observed)).collect()
}
