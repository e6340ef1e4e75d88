//! What a store tells its dispatcher: which apps have something due, and when.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::moment::Moment;
use crate::routes::AppId;
use tokio::sync::Notify;

/// Apps that have something due. Bounded by the number of apps: many deliveries are one piece of
/// news.
#[derive(Debug, Default)]
pub struct News {
    apps: Mutex<HashMap<AppId, Moment>>,
    told: Notify,
}

impl News {
    /// Something of each of these apps is due at that moment.
    pub fn tell(&self, news: impl IntoIterator<Item = (AppId, Moment)>) {
        let mut apps = self.apps();
        let was_empty = apps.is_empty();
        for (app, due) in news {
            let earliest = apps.entry(app).or_insert(due);
            *earliest = due.min(*earliest);
        }
        if was_empty && !apps.is_empty() {
            self.told.notify_one();
        }
    }

    /// Takes all news; waits until there is some. For one caller at a time.
    pub async fn take(&self) -> HashMap<AppId, Moment> {
        loop {
            let told = self.told.notified();
            let news = std::mem::take(&mut *self.apps());
            if !news.is_empty() {
                return news;
            }
            told.await;
        }
    }

    fn apps(&self) -> MutexGuard<'_, HashMap<AppId, Moment>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_each_app_the_earliest_moment_is_news_once() {
        let news = News::default();
        let app = AppId::new("team", uuid::Uuid::from_u128(1));
        news.tell([(app, Moment(7)), (app, Moment(3))]);
        news.tell([(app, Moment(5))]);
        assert_eq!(news.take().await, HashMap::from([(app, Moment(3))]));
        let mut waiting = tokio_test_pending(news.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        news.tell([(app, Moment(9))]);
        assert_eq!(waiting.await, HashMap::from([(app, Moment(9))]));
    }

    use futures_util::FutureExt as _;
    use std::pin::Pin;

    fn tokio_test_pending<T>(future: impl Future<Output = T>) -> Pin<Box<impl Future<Output = T>>> {
        Box::pin(future)
    }
}
