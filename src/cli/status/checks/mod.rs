//! The decisions: from what was seen to what is wrong, a small function each. Pure.

mod deliveries;
mod listeners;
mod operator;
mod resources;

use super::finding::Finding;
use super::observed::Observed;

type Check = fn(&Observed) -> Vec<Finding>;

/// In the order of what a person mends first: what is below follows from what is above.
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

/// What is wrong, and what is good to know.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| check(observed)).collect()
}
