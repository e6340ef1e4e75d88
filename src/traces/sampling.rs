//! Which traces are recorded.

use super::TraceContext;

/// What `OTEL_TRACES_SAMPLER` and its argument say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether what the sender has decided holds. A sender is a stranger: it is asked only where the
    /// operator's owner says so.
    pub follows_parent: bool,
    /// How many of the others, from 0 to 1.
    pub ratio: f64,
}

impl Sampling {
    /// All traces, whatever their senders say.
    pub const ALL: Self = Self { follows_parent: false, ratio: 1.0 };

    /// Whether a trigger's trace is recorded.
    pub fn takes(self, parent: Option<&TraceContext>) -> bool {
        match parent.filter(|_| self.follows_parent) {
            Some(parent) => parent.is_sampled(),
            // Not by the id of the trace: the sender may have chosen that.
            None => fastrand::f64() < self.ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_decides_only_where_it_is_asked() {
        let sampled = TraceContext::begin().sampled(true);
        let unsampled = TraceContext::begin();
        let none = Sampling { follows_parent: false, ratio: 0.0 };
        assert!(!none.takes(Some(&sampled)));
        assert!(Sampling::ALL.takes(Some(&unsampled)));
        let asked = |ratio| Sampling { follows_parent: true, ratio };
        assert!(asked(0.0).takes(Some(&sampled)));
        assert!(!asked(1.0).takes(Some(&unsampled)));
        assert!(asked(1.0).takes(None));
        assert!(!asked(0.0).takes(None));
    }

    #[test]
    fn a_ratio_takes_about_so_many_whatever_the_id_of_the_trace() {
        let one = TraceContext::begin().sampled(true);
        let some = Sampling { follows_parent: false, ratio: 0.25 };
        let taken = (0..10_000).filter(|_| some.takes(Some(&one))).count();
        assert!((2000..3000).contains(&taken), "{taken}");
    }
}
