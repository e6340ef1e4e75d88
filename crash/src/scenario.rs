//! What happens to the operator and its listener in a round.

use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;

use crate::load::TIMEOUT;

/// Longer than a lease: the timeout, and 30 s beyond it.
const BEYOND_THE_LEASE: Duration = TIMEOUT.saturating_add(Duration::from_secs(33));
const LIFE_MS: Range<u64> = 50..3_000;
/// A start takes some tens of milliseconds, and longer where there is much to recover.
const START_MS: Range<u64> = 1..200;

/// Which rounds there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The four that follow, one after the other.
    All,
    /// The operator is killed.
    Operator,
    /// Its listener is killed too, and started anew.
    Listener,
    /// Its listener answers some calls after their timeout.
    Late,
    /// Both of this.
    Both,
    /// The operator is stopped for longer than its leases last before it is killed; some rounds of a minute.
    Lease,
    /// Nothing is killed: webhooks are created, triggered and deleted, and nothing of them may be left.
    Churn,
}

/// A round: a start of the operator, and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// How long it lives.
    pub life: Duration,
    /// Whether that is counted from its start or from when it serves.
    pub from_start: bool,
    /// Whether the listener is killed in it.
    pub kills_listener: bool,
    /// Whether the listener is late in it.
    pub late: bool,
    /// For how long it is stopped before its end.
    pub stopped: Option<Duration>,
}

impl Scenario {
    /// The next round.
    pub fn round(self, number: u32, rng: &mut Rng) -> Round {
        const ALL: [Scenario; 4] =
            [Scenario::Operator, Scenario::Listener, Scenario::Late, Scenario::Both];
        let scenario = if self == Self::All { ALL[number as usize % ALL.len()] } else { self };
        let from_start = scenario != Self::Lease && rng.u32(..3) == 0;
        Round {
            life: Duration::from_millis(rng.u64(if from_start { START_MS } else { LIFE_MS })),
            from_start,
            kills_listener: matches!(scenario, Self::Listener | Self::Both),
            late: matches!(scenario, Self::Late | Self::Both | Self::Lease),
            stopped: (scenario == Self::Lease).then_some(BEYOND_THE_LEASE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scenarios_but_that_of_minutes_take_turns() {
        let mut rng = Rng::with_seed(1);
        let rounds: Vec<_> = (0..4).map(|number| Scenario::All.round(number, &mut rng)).collect();
        let kinds: Vec<_> = rounds.iter().map(|round| (round.kills_listener, round.late)).collect();
        assert_eq!(kinds, [(false, false), (true, false), (false, true), (true, true)]);
        assert!(rounds.iter().all(|round| round.stopped.is_none()));
        assert!(Scenario::Lease.round(0, &mut rng).stopped > Some(Duration::from_secs(31)));
    }
}
