//! What a webhook's spec asks of its triggers, made ready to be asked.

use ipnet::IpNet;

use crate::guard::Networks;
use crate::routes::Guards;

/// A mistake in a webhook's spec that leaves it its UUID and its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A CamelCase word for programs.
    pub reason: &'static str,
    /// One sentence that says what is wrong where.
    pub message: String,
}

/// What is asked; `None` when nothing is.
///
/// # Errors
/// The first mistake.
pub(super) fn guards(source_ranges: &[String]) -> Result<Option<Box<Guards>>, Fault> {
    let sources = sources(source_ranges)?;
    let guards = Guards { sources };
    Ok((guards != Guards::default()).then(|| Box::new(guards)))
}

fn sources(ranges: &[String]) -> Result<Option<Networks>, Fault> {
    let network = |(index, range): (usize, &String)| {
        range.parse::<IpNet>().map_err(|_| Fault {
            reason: "Invalid",
            message: format!("spec.sourceRanges[{index}] is not a network in CIDR notation"),
        })
    };
    let networks = ranges.iter().enumerate().map(network).collect::<Result<Networks, _>>()?;
    Ok(Some(networks).filter(|networks| !networks.is_empty()))
}
