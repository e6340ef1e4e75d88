//! The `api` field of listener calls: made once for many calls of an app.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::ApiField;
use crate::app_token::Tokens;
use crate::plan::Key;
use crate::routes::App;

/// For how long one token is given to further calls, in seconds.
const FRESH: u64 = 30;

/// How long a token lives on after the call it was given to may have ended.
const SLACK: Duration = Duration::from_secs(30);

/// The `api` fields of one runtime.
pub struct ApiFields {
    url: String,
    tokens: Arc<Tokens>,
    clock: fn() -> u64,
    made: Mutex<HashMap<Key, Made, RandomState>>,
}

struct Made {
    field: ApiField,
    fresh_until: u64,
    timeout: Duration,
    instance: Arc<str>,
}

impl ApiFields {
    /// `url` is where apps find the app API; `clock` gives seconds since 1970.
    pub fn new(url: impl Into<String>, tokens: Arc<Tokens>, clock: fn() -> u64) -> Self {
        Self { url: url.into(), tokens, clock, made: Mutex::default() }
    }

    /// The field for a call of this app: its token lives as long as the call may.
    pub fn of(&self, app: &App) -> ApiField {
        let now = (self.clock)();
        let key = Key { namespace: app.namespace.clone(), name: app.name.clone() };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.get(&key)
            && now < made.fresh_until
            && app.timeout <= made.timeout
            && app.instance == made.instance
        {
            return made.field.clone();
        }
        // Seldom: a good moment to forget the apps that are not called any more.
        made.retain(|_, made| now < made.fresh_until);
        let ttl = app.timeout + Duration::from_secs(FRESH) + SLACK;
        let field = ApiField::new(&self.url, &self.tokens.issue(&key, &app.instance, now, ttl));
        let entry = Made {
            field: field.clone(),
            fresh_until: now + FRESH,
            timeout: app.timeout,
            instance: app.instance.clone(),
        };
        made.insert(key, entry);
        field
    }
}

impl fmt::Debug for ApiFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiFields").field("url", &self.url).finish_non_exhaustive()
    }
}
