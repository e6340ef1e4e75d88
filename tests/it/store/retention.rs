//! What has ended is forgotten after its time.

use std::time::Duration;

use webhook_operator::store::Filter;

use crate::store::engines::on_durable_engines;
use crate::store::world::{NOW, World};

async fn what_has_ended_is_forgotten_after_its_time_and_windows_after_theirs(world: World) {
    let day = Duration::from_secs(24 * 3600);
    let world = world.restart_keeping(day);
    world.accept("a").await;
    world.deliver(1).await;
    let kept = world.accept("a").await;
    world.clock.set(NOW + day + Duration::from_secs(60));
    // Any operation makes an engine look for what is over.
    tokio::time::timeout(Duration::from_secs(10), async {
        while world.list(Filter::default()).await.len() > 1 {
            world.deliver(0).await;
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(world.list(Filter::default()).await[0].id, kept);
}

on_durable_engines![what_has_ended_is_forgotten_after_its_time_and_windows_after_theirs];
