//! What a store knows when it is opened.

use webhook_operator::moment::Moment;

use crate::store::engines::on_every_engine;
use crate::store::world::{NOW, World};

async fn what_was_undelivered_is_told_of_when_a_store_is_opened(world: World) {
    world.accept("a").await;
    world.accept("fifo").await;
    world.accept("fifo").await;
    let world = world.restart();
    assert_eq!(world.due_apps().await, [(world.app, Moment(0))]);
    let metrics = world.store.metrics();
    assert_eq!(metrics.undelivered, [(world.app, 3)]);
    assert_eq!(metrics.oldest, [(world.app, NOW)]);
}

on_every_engine![what_was_undelivered_is_told_of_when_a_store_is_opened,];
