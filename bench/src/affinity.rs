//! Keeps the running thread, and whatever it starts, to one core.

use std::io;
use std::marker::PhantomData;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The running thread may use one core alone as long as this lives, and so may every thread and process
/// that it starts meanwhile, as long as they live: they inherit it.
///
/// It belongs to the thread that made it, and cannot be sent to another one.
#[derive(Debug)]
pub struct Pinned {
    core: usize,
    before: CpuSet,
    _thread: PhantomData<*const ()>,
}

impl Pinned {
    /// Keeps to the last core that the thread may use: a machine's interrupts go to its first ones.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn to_last_core() -> io::Result<Self> {
        let before = sched_getaffinity(None)?;
        let core = (0..CpuSet::MAX_CPU)
            .rfind(|&core| before.is_set(core))
            .ok_or_else(|| io::Error::other("the thread may use no core"))?;
        let mut only = CpuSet::new();
        only.set(core);
        sched_setaffinity(None, &only)?;
        Ok(Self { core, before, _thread: PhantomData })
    }

    /// The number of the core.
    #[must_use]
    pub fn core(&self) -> usize {
        self.core
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A set that was in force is one that the kernel takes, unless cores went away meanwhile.
        let _ = sched_setaffinity(None, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::{Pinned, sched_getaffinity};
    use std::thread;

    #[test]
    fn a_pinned_thread_and_what_it_starts_have_one_core_until_it_is_dropped() {
        let before = sched_getaffinity(None).unwrap();
        let pinned = Pinned::to_last_core().unwrap();
        let inherited = thread::spawn(|| sched_getaffinity(None).unwrap()).join().unwrap();
        assert_eq!(inherited.count(), 1);
        assert!(inherited.is_set(pinned.core()));
        drop(pinned);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
