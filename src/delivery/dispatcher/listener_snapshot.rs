//! A snapshot of an app's listener. Comparing two of them shows whether the listener has changed.

use std::sync::Arc;

use crate::routes::{App, Endpoint, Upstream};

/// An app and its ready endpoints at one moment. Both are swapped as a whole on a change, so
/// equality compares pointers.
#[derive(Debug)]
pub struct ListenerSnapshot {
    app: Arc<App>,
    ready: Option<Arc<Vec<Arc<Endpoint>>>>,
}

impl ListenerSnapshot {
    /// Takes a snapshot of the app's listener.
    pub fn of(app: Arc<App>) -> Self {
        let ready = match app.target.as_ref().map(|target| &target.upstream) {
            Some(Upstream::Endpoints(endpoints)) => Some(endpoints.ready().clone()),
            Some(Upstream::Origin(_)) | None => None,
        };
        Self { app, ready }
    }
}

impl PartialEq for ListenerSnapshot {
    fn eq(&self, other: &Self) -> bool {
        let same_ready = match (&self.ready, &other.ready) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same_ready && Arc::ptr_eq(&self.app, &other.app)
    }
}
