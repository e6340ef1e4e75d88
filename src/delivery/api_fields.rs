//! The `api` field of listener calls, cached per app: signing a token for each call would be
//! wasteful.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::ApiField;
use crate::app_token::Tokens;
use crate::plan::Key;
use crate::routes::App;

/// How long a token is used for further calls, in seconds.
const FRESH: u64 = 30;

/// How long a token remains valid after the timeout of the last call that carries it.
const SLACK: Duration = Duration::from_secs(30);

/// Creates and caches the `api` fields of one runtime.
pub struct ApiFields {
    url: String,
    tokens: Arc<Tokens>,
    clock: fn() -> u64,
    cache: Mutex<HashMap<Key, CachedField, RandomState>>,
}

struct CachedField {
    field: ApiField,
    fresh_until: u64,
    timeout: Duration,
    instance: Arc<str>,
}

impl ApiFields {
    /// `url` is the URL of the app API as seen by apps; `clock` returns seconds since 1970.
    pub fn new(url: impl Into<String>, tokens: Arc<Tokens>, clock: fn() -> u64) -> Self {
        Self { url: url.into(), tokens, clock, cache: Mutex::default() }
    }

    /// The field for a call of this app. Its token is valid for at least the call's timeout.
    pub fn of(&self, app: &App) -> ApiField {
        let now = (self.clock)();
        let key = Key { namespace: app.namespace.clone(), name: app.name.clone() };
        let mut cache = self.cache.lock();
        if let Some(cached) = cache.get(&key)
            && now < cached.fresh_until
            && app.timeout <= cached.timeout
            && app.instance == cached.instance
        {
            return cached.field.clone();
        }
        // Misses are rare, so this is the place to evict the expired fields of all apps.
        cache.retain(|_, cached| now < cached.fresh_until);
        let ttl = app.timeout + Duration::from_secs(FRESH) + SLACK;
        let field = ApiField::new(&self.url, &self.tokens.issue(&key, &app.instance, now, ttl));
        let entry = CachedField {
            field: field.clone(),
            fresh_until: now + FRESH,
            timeout: app.timeout,
            instance: app.instance.clone(),
        };
        cache.insert(key, entry);
        field
    }
}

impl fmt::Debug for ApiFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiFields").field("url", &self.url).finish_non_exhaustive()
    }
}
