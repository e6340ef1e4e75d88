//! Which deliveries a caller means: by a query string, or by a JSON body. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use uuid::Uuid;

use super::since::since;
use super::view::State;
use crate::admin::error::ApiError;
use crate::moment::Moment;
use crate::store::{self, Filter};

/// Deliveries of a page, when the caller does not say.
pub const DEFAULT_LIMIT: usize = 50;

/// Deliveries of a page at most.
pub const MAX_LIMIT: usize = 500;

/// The longest name of a Kubernetes object, in characters.
const MAX_NAME: usize = 253;

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Of which deliveries.
    pub filter: Filter,
    /// Those before this one.
    pub cursor: Option<Uuid>,
    /// How many at most.
    pub limit: usize,
}

/// What a replay by filter says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    namespace: Option<String>,
    webhook: Option<String>,
    state: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl Fields {
    fn filter(self, now: Moment) -> Result<Filter, ApiError> {
        let moment = |name, text: Option<String>| {
            let read = |text: String| since(&text, now).map_err(|why| invalid(name, &why));
            text.map(read).transpose()
        };
        Ok(Filter {
            namespace: self.namespace.map(|text| name("namespace", text)).transpose()?,
            webhook: self.webhook.map(|text| name("webhook", text)).transpose()?,
            state: self.state.map(|text| state(&text)).transpose()?,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
        })
    }
}

/// Reads the query of a list. A parameter without a value counts as absent.
///
/// # Errors
/// [`ApiError::InvalidFilter`] for a parameter that is unknown, repeated or not readable.
pub fn page(query: &str, now: Moment) -> Result<Page, ApiError> {
    let mut fields = Fields::default();
    let (mut cursor, mut limit) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let field = match &*name {
            "namespace" => &mut fields.namespace,
            "webhook" => &mut fields.webhook,
            "state" => &mut fields.state,
            "since" => &mut fields.since,
            "until" => &mut fields.until,
            "cursor" => &mut cursor,
            "limit" => &mut limit,
            _ => return Err(unknown_parameter()),
        };
        if !value.is_empty() && field.replace(value.into_owned()).is_some() {
            return Err(invalid(&name, "is there twice"));
        }
    }
    Ok(Page {
        filter: fields.filter(now)?,
        cursor: cursor.map(|text| read_cursor(&text)).transpose()?,
        limit: limit.map_or(Ok(DEFAULT_LIMIT), |text| read_limit(&text))?,
    })
}

/// What is to be told of which webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Those of this namespace.
    pub namespace: Option<String>,
    /// Whether their last hour is to be told too.
    pub last_hour: bool,
}

/// Reads the query of tallies: a namespace, and whether the last hour is wanted.
///
/// # Errors
/// [`ApiError::InvalidFilter`] for a parameter that is unknown, repeated or not readable.
pub fn tallies(query: &str) -> Result<Told, ApiError> {
    let (mut namespace, mut last_hour) = (None, None);
    for (parameter, value) in form_urlencoded::parse(query.as_bytes()) {
        let field = match &*parameter {
            "namespace" => &mut namespace,
            "lastHour" => &mut last_hour,
            _ => return Err(unknown_parameter()),
        };
        if !value.is_empty() && field.replace(value.into_owned()).is_some() {
            return Err(invalid(&parameter, "is there twice"));
        }
    }
    Ok(Told {
        namespace: namespace.map(|text| name("namespace", text)).transpose()?,
        last_hour: match last_hour.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("lastHour", "must be true or false")),
        },
    })
}

/// Reads the body of a replay by filter: what has ended, and is dead where it does not say. What begins
/// from `now` on is not meant, the replays themselves among it.
///
/// # Errors
/// [`ApiError::InvalidFilter`] for a field that is unknown or not readable.
pub fn replay(body: &[u8], now: Moment) -> Result<Filter, ApiError> {
    let fields: Fields = serde_json::from_slice(body)
        .map_err(|error| ApiError::InvalidFilter(format!("the body is no filter: {error}")))?;
    let mut filter = fields.filter(now)?;
    if filter.state == Some(store::State::Pending) {
        return Err(invalid(
            "state",
            "must be dead or succeeded: what is pending is attempted anyway",
        ));
    }
    filter.state.get_or_insert(store::State::Dead);
    filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
    Ok(filter)
}

/// Where the next page begins: after this delivery.
pub fn cursor(last: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(last.as_bytes())
}

fn read_cursor(text: &str) -> Result<Uuid, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    id.ok_or_else(|| invalid("cursor", "must be what an answer called cursor"))
}

/// Reads how many at most.
pub fn read_limit(text: &str) -> Result<usize, ApiError> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| invalid("limit", "must be a number from 1 to 500"))
}

/// Reads the name of an object.
pub fn name(field: &'static str, text: String) -> Result<String, ApiError> {
    if text.is_empty() || text.len() > MAX_NAME {
        return Err(invalid(field, "must be the name of one"));
    }
    Ok(text)
}

fn state(text: &str) -> Result<store::State, ApiError> {
    let state = State::ALL.into_iter().find(|state| state.name() == text);
    let state = state.ok_or_else(|| invalid("state", "must be pending, succeeded or dead"))?;
    Ok(state.stored())
}

/// That a parameter is unknown. It is not repeated to whoever sent it: it may be anything.
pub fn unknown_parameter() -> ApiError {
    ApiError::InvalidFilter("there is an unknown parameter".into())
}

/// What is wrong with a field.
pub fn invalid(field: &str, why: &str) -> ApiError {
    ApiError::InvalidFilter(format!("{field} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000_000_000);

    fn why(error: ApiError) -> String {
        error.to_string()
    }

    #[test]
    fn a_query_names_what_is_meant_and_an_empty_one_means_all() {
        let none = Page { filter: Filter::default(), cursor: None, limit: 50 };
        assert_eq!(page("", NOW).unwrap(), none);
        assert_eq!(page("namespace=&webhook=&state=&since=&limit=&cursor=", NOW).unwrap(), none);
        let id = Uuid::from_u128(7);
        let query = format!(
            "namespace=team-a&webhook=pay&state=dead&since=1970-01-01T01:00:01%2B01:00&until=1h&limit=500&cursor={}",
            cursor(id)
        );
        let filter = Filter {
            namespace: Some("team-a".into()),
            webhook: Some("pay".into()),
            state: Some(store::State::Dead),
            since: Some(Moment(1_000)),
            until: Some(Moment(NOW.0 - 3_600_000)),
        };
        assert_eq!(page(&query, NOW).unwrap(), Page { filter, cursor: Some(id), limit: 500 });
    }

    #[test]
    fn a_query_that_cannot_be_taken_says_why() {
        for (query, message) in [
            ("limit=0", "limit must be a number from 1 to 500"),
            ("limit=501", "limit must be a number from 1 to 500"),
            ("limit=x", "limit must be a number from 1 to 500"),
            ("cursor=x", "cursor must be what an answer called cursor"),
            ("state=Dead", "state must be pending, succeeded or dead"),
            ("state=waiting", "state must be pending, succeeded or dead"),
            ("state=dead&state=dead", "state is there twice"),
            ("name=x", "there is an unknown parameter"),
        ] {
            assert_eq!(why(page(query, NOW).unwrap_err()), message, "{query}");
        }
        assert!(why(page("since=tomorrow", NOW).unwrap_err()).starts_with("since must be a time"));
        let long = format!("webhook={}", "a".repeat(254));
        assert_eq!(why(page(&long, NOW).unwrap_err()), "webhook must be the name of one");
    }

    #[test]
    fn a_replay_means_the_dead_until_now_unless_it_says_otherwise() {
        let dead = replay(b"{}", NOW).unwrap();
        assert_eq!((dead.state, dead.until), (Some(store::State::Dead), Some(NOW)));
        let body = br#"{"state":"succeeded","until":"2100-01-01T00:00:00Z","since":"7d","namespace":null}"#;
        let succeeded = replay(body, NOW).unwrap();
        assert_eq!((succeeded.state, succeeded.until), (Some(store::State::Succeeded), Some(NOW)));
        for body in
            ["", "[]", "{", r#"{"state":"pending"}"#, r#"{"namespace":""}"#, r#"{"id":"x"}"#]
        {
            assert!(replay(body.as_bytes(), NOW).is_err(), "{body}");
        }
    }
}
