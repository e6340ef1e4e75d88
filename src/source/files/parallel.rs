//! Parallel map over a slice, on all cores.

use std::num::NonZero;
use std::thread;

/// The minimum number of items for each thread: fewer do not pay for starting one.
const MIN_ITEMS_PER_THREAD: usize = 32;

/// Applies `work` to each item. The results have the order of the items.
pub fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let chunk = items.len().div_ceil(threads).max(MIN_ITEMS_PER_THREAD);
    let work = |chunk: &[T]| chunk.iter().map(&work).collect::<Vec<R>>();
    if items.len() <= chunk {
        return work(items);
    }
    thread::scope(|scope| {
        let chunks = items.chunks(chunk);
        let workers: Vec<_> = chunks.map(|chunk| scope.spawn(move || work(chunk))).collect();
        let chunks = workers.into_iter().map(|worker| match worker.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        chunks.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_things() {
        for count in [0, 1, 31, 32, 33, 1000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(each(&items, |item| *item), items);
        }
    }
}
