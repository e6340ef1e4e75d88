//! How an app's listener looked at a time, to see whether it has changed since.

use std::sync::Arc;

use crate::routes::{App, Endpoint, Upstream};

/// An app, and the endpoints that it had. Two are the same when nothing was swapped in between.
#[derive(Debug)]
pub struct Sight {
    app: Arc<App>,
    ready: Option<Arc<Vec<Arc<Endpoint>>>>,
}

impl Sight {
    /// As it looks now.
    pub fn of(app: Arc<App>) -> Self {
        let ready = match app.target.as_ref().map(|target| &target.upstream) {
            Some(Upstream::Endpoints(endpoints)) => Some(endpoints.ready().clone()),
            Some(Upstream::Origin(_)) | None => None,
        };
        Self { app, ready }
    }
}

impl PartialEq for Sight {
    fn eq(&self, other: &Self) -> bool {
        let same_ready = match (&self.ready, &other.ready) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same_ready && Arc::ptr_eq(&self.app, &other.app)
    }
}
