//! `spec.sourceRanges`, `spec.rateLimit` and `spec.filter`, compiled for use.

use std::num::NonZeroU32;
use std::sync::Arc;

use ipnet::IpNet;

use super::expressions::compiled;
use crate::expression::Expression;
use crate::guard::RateLimit;
use crate::http::Networks;
use crate::resources;
use crate::resources::reason::StalledReason;
use crate::routes::Guards;

/// A mistake in a webhook's spec. The webhook keeps its UUID and URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason, for programs.
    pub reason: StalledReason,
    /// One sentence with the field and the mistake.
    pub message: String,
}

/// Compiles the guards of a webhook; `None` if it has none.
///
/// # Errors
/// The first mistake in the spec.
pub(super) fn guards(
    source_ranges: &[String],
    rate_limit: Option<&resources::RateLimit>,
    cloud_events_origins: &[String],
    filter: Option<&str>,
) -> Result<Option<Box<Guards>>, Fault> {
    let guards = Guards {
        sources: sources(source_ranges)?,
        rate: rate_limit.map(rate).transpose()?,
        origins: cloud_events_origins.iter().map(|origin| origin.as_str().into()).collect(),
        filter: filter.map(filter_of).transpose()?,
    };
    Ok((guards != Guards::default()).then(|| Box::new(guards)))
}

fn sources(ranges: &[String]) -> Result<Option<Networks>, Fault> {
    let network = |(index, range): (usize, &String)| {
        range.parse::<IpNet>().map_err(|_| {
            invalid(format!("spec.sourceRanges[{index}] is not a network in CIDR notation"))
        })
    };
    let networks = ranges.iter().enumerate().map(network).collect::<Result<Networks, _>>()?;
    Ok(Some(networks).filter(|networks| !networks.is_empty()))
}

fn rate(limit: &resources::RateLimit) -> Result<RateLimit, Fault> {
    let resources::RateLimit { requests_per_second, burst } = limit;
    let positive = |field: &str, number: i32| {
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        number.ok_or_else(|| invalid(format!("spec.rateLimit.{field} is not a positive number")))
    };
    let per_second = positive("requestsPerSecond", *requests_per_second)?;
    let burst = burst.map(|burst| positive("burst", burst)).transpose()?;
    Ok(RateLimit::new(per_second, burst.unwrap_or(per_second)))
}

fn filter_of(filter: &str) -> Result<Arc<Expression>, Fault> {
    compiled(filter, "spec.filter", StalledReason::InvalidFilter)
}

/// A mistake that the CRD schema normally rejects.
pub(super) fn invalid(message: String) -> Fault {
    Fault { reason: StalledReason::Invalid, message }
}
