//! Notifies the dispatcher of apps with due deliveries.

use std::collections::HashMap;

use crate::moment::Moment;
use crate::routes::AppId;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// Apps with due deliveries, and the earliest due time of each. Bounded by the number of apps:
/// notifications of an app are merged until they are taken.
#[derive(Debug, Default)]
pub struct DueApps {
    apps: Mutex<HashMap<AppId, Moment>>,
    notify: Notify,
}

impl DueApps {
    /// Adds apps that have a delivery due at the given time, and wakes [`Self::take`].
    pub fn notify(&self, due_apps: impl IntoIterator<Item = (AppId, Moment)>) {
        let mut apps = self.apps();
        let was_empty = apps.is_empty();
        for (app, due) in due_apps {
            let earliest = apps.entry(app).or_insert(due);
            *earliest = due.min(*earliest);
        }
        if was_empty && !apps.is_empty() {
            self.notify.notify_one();
        }
    }

    /// Takes all apps; waits until there is at least one. Supports one caller at a time.
    pub async fn take(&self) -> HashMap<AppId, Moment> {
        loop {
            let notified = self.notify.notified();
            let apps = std::mem::take(&mut *self.apps());
            if !apps.is_empty() {
                return apps;
            }
            notified.await;
        }
    }

    fn apps(&self) -> MutexGuard<'_, HashMap<AppId, Moment>> {
        self.apps.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_earliest_due_time_of_each_app_is_taken_once() {
        let due_apps = DueApps::default();
        let app = AppId::new("team", uuid::Uuid::from_u128(1));
        due_apps.notify([(app, Moment(7)), (app, Moment(3))]);
        due_apps.notify([(app, Moment(5))]);
        assert_eq!(due_apps.take().await, HashMap::from([(app, Moment(3))]));
        let mut waiting = tokio_test_pending(due_apps.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        due_apps.notify([(app, Moment(9))]);
        assert_eq!(waiting.await, HashMap::from([(app, Moment(9))]));
    }

    use futures_util::FutureExt as _;
    use std::pin::Pin;

    fn tokio_test_pending<T>(future: impl Future<Output = T>) -> Pin<Box<impl Future<Output = T>>> {
        Box::pin(future)
    }
}
