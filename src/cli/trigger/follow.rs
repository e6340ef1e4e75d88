//! Waits for a delivery to end.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::admin::deliveries::view::{FullDelivery, StateView};
use crate::cli::client::reach::Operator;
use crate::cli::deliveries::find;
use crate::moment::Moment;

/// Shortest and longest polling interval.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The delivery when it has ended or the time is up. Returns early if the next attempt is due after
/// that time.
///
/// # Errors
/// The delivery cannot be read.
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
    delivery.state == StateView::Pending && !is_tried_too_late
}
