//! What becomes of a repetition of a stored event. Pure.

use super::{DeadReason, DeliveryState};
use crate::verify::Repeats;

/// The state of a delivery, and why it is dead.
pub type DeliveryEnd = (DeliveryState, Option<DeadReason>);

/// What becomes of a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// It is stored: the first event is gone, or cannot be read.
    New,
    /// It is not stored, as the first event is delivered.
    Duplicate,
    /// The first event is delivered again.
    Replay,
}

impl Repetition {
    /// Decides by the deliveries of the first event that are still stored.
    ///
    /// An event that is under way is never delivered twice at once. A dead one is delivered again,
    /// whoever repeats it. One that succeeded is so only if somebody asked the sender to repeat it.
    pub fn of(first: &[DeliveryEnd], repeats: Repeats) -> Self {
        let has = |state| first.iter().any(|(other, _)| *other == state);
        let is_delivered = has(DeliveryState::Succeeded) && repeats == Repeats::ByItself;
        if has(DeliveryState::Pending) || has(DeliveryState::Waiting) || is_delivered {
            return Self::Duplicate;
        }
        let is_lost = first.iter().any(|(_, reason)| *reason == Some(DeadReason::Unreadable));
        if first.is_empty() || is_lost { Self::New } else { Self::Replay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_delivered_if_nothing_else_of_its_event_is() {
        use DeliveryState::{Dead, Pending, Succeeded, Waiting};
        use Repeats::{ByHand, ByItself};
        for (first, by_itself, by_hand) in [
            (&[][..], Repetition::New, Repetition::New),
            (&[Pending], Repetition::Duplicate, Repetition::Duplicate),
            (&[Waiting], Repetition::Duplicate, Repetition::Duplicate),
            (&[Succeeded], Repetition::Duplicate, Repetition::Replay),
            (&[Dead], Repetition::Replay, Repetition::Replay),
            (&[Dead, Dead], Repetition::Replay, Repetition::Replay),
            (&[Dead, Succeeded], Repetition::Duplicate, Repetition::Replay),
            (&[Succeeded, Dead], Repetition::Duplicate, Repetition::Replay),
            (&[Dead, Pending], Repetition::Duplicate, Repetition::Duplicate),
            (&[Succeeded, Waiting], Repetition::Duplicate, Repetition::Duplicate),
        ] {
            let of = |reason| {
                let reason = |state| (state == Dead).then_some(reason);
                let first: Vec<_> = first.iter().map(|state| (*state, reason(*state))).collect();
                [ByItself, ByHand].map(|repeats| Repetition::of(&first, repeats))
            };
            assert_eq!(of(DeadReason::Rejected), [by_itself, by_hand], "{first:?}");
            if first.contains(&Dead) {
                // The sender has what the store has lost.
                let instead = |of| if of == Repetition::Replay { Repetition::New } else { of };
                let expected = [by_itself, by_hand].map(instead);
                assert_eq!(of(DeadReason::Unreadable), expected, "{first:?}");
            }
        }
    }
}
