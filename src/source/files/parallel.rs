//! Parallel map over a slice, on all cores.

use std::num::NonZero;
use std::thread;

/// The minimum number of items for each thread: fewer do not pay for starting one.
const WORTH_A_THREAD: usize = 32;

/// Applies `work` to each item. The results have the order of the items.
pub fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = things.len().div_ceil(threads).max(WORTH_A_THREAD);
    let work = |share: &[T]| share.iter().map(&work).collect::<Vec<R>>();
    if things.len() <= share {
        return work(things);
    }
    thread::scope(|scope| {
        let shares = things.chunks(share);
        let workers: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
        let shares = workers.into_iter().map(|worker| match worker.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        shares.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_things() {
        for count in [0, 1, 31, 32, 33, 1000] {
            let things: Vec<usize> = (0..count).collect();
            assert_eq!(each(&things, |thing| *thing), things);
        }
    }
}
