//! Waits for a delivery to end, as far as that is worth waiting for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::admin::deliveries::view::{FullDelivery, State};
use crate::cli::client::reach::Operator;
use crate::cli::deliveries::find;
use crate::moment::Moment;

/// Between two looks, at first and at last.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The delivery once it has ended; or as it is when it does not end in time, which is known earlier
/// where its next attempt is due later.
///
/// # Errors
/// When nobody tells of it.
pub async fn follow(operator: &Operator, id: Uuid, time: Duration) -> anyhow::Result<FullDelivery> {
    let deadline = Instant::now() + time;
    let mut pause = PAUSE;
    loop {
        let found = find(operator, id).await?;
        let next = Instant::now() + pause;
        if next > deadline || !is_worth_waiting(&found, Moment::now(), deadline - Instant::now()) {
            return Ok(found);
        }
        sleep_until(next).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_worth_waiting(found: &FullDelivery, now: Moment, left: Duration) -> bool {
    let delivery = &found.delivery;
    let is_tried_too_late =
        !delivery.waiting && delivery.due_at.is_some_and(|due| due > now + left);
    delivery.state == State::Pending && !is_tried_too_late
}
