//! Operations that come at once.

use webhook_operator::store::{Filter, Health};

use crate::store::engines::on_durable_engines;
use crate::store::world::World;

async fn a_write_that_breaks_a_constraint_fails_alone_among_those_of_its_transaction(world: World) {
    let first = world.event("a", b"{}");
    world.store.accept(first.clone()).await.unwrap();
    // The same id again, in one batch with others.
    let mut events = vec![first];
    events.extend((0..20).map(|_| world.event("b", b"{}")));
    let answers: Vec<_> =
        events.into_iter().map(|event| world.store.accept(event)).collect::<Vec<_>>();
    let mut accepted = Vec::new();
    for answer in answers {
        accepted.push(answer.await.is_ok());
    }
    assert_eq!(accepted.iter().filter(|accepted| !**accepted).count(), 1);
    assert!(!accepted[0] && *world.store.health().borrow() == Health::Serving);
    assert_eq!(world.list(Filter::default()).await.len(), 21);
}

on_durable_engines![a_write_that_breaks_a_constraint_fails_alone_among_those_of_its_transaction,];
