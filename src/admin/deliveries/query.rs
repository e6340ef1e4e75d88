//! Parses the filters of the delivery API, from a query string or a JSON body. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use uuid::Uuid;

use super::since::since;
use super::view::StateView;
use crate::admin::error::AdminError;
use crate::moment::Moment;
use crate::store::{DeliveryState, Filter};

/// Default number of deliveries per page.
pub const DEFAULT_LIMIT: usize = 50;

/// Maximum number of deliveries per page.
pub const MAX_LIMIT: usize = 500;

/// Maximum length of the name of a Kubernetes object, in bytes.
const MAX_NAME: usize = 253;

/// Query of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Selects the deliveries.
    pub filter: Filter,
    /// The page contains deliveries before this one.
    pub cursor: Option<Uuid>,
    /// Maximum number of deliveries.
    pub limit: usize,
}

/// Body of a replay by filter.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterFields {
    namespace: Option<String>,
    webhook: Option<String>,
    state: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl FilterFields {
    fn filter(self, now: Moment) -> Result<Filter, AdminError> {
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

/// Parses the query of a list. Empty parameters are ignored.
///
/// # Errors
/// [`AdminError::InvalidFilter`] for an unknown, repeated or invalid parameter.
pub fn list(query: &str, now: Moment) -> Result<ListQuery, AdminError> {
    let mut fields = FilterFields::default();
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
            return Err(invalid(&name, "is repeated"));
        }
    }
    Ok(ListQuery {
        filter: fields.filter(now)?,
        cursor: cursor.map(|text| read_cursor(&text)).transpose()?,
        limit: limit.map_or(Ok(DEFAULT_LIMIT), |text| read_limit(&text))?,
    })
}

/// Query of the delivery counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TalliesQuery {
    /// Filter by namespace.
    pub namespace: Option<String>,
    /// Whether to include the last hour.
    pub last_hour: bool,
}

/// Parses the query of the delivery counts.
///
/// # Errors
/// [`AdminError::InvalidFilter`] for an unknown, repeated or invalid parameter.
pub fn tallies(query: &str) -> Result<TalliesQuery, AdminError> {
    let (mut namespace, mut last_hour) = (None, None);
    for (parameter, value) in form_urlencoded::parse(query.as_bytes()) {
        let field = match &*parameter {
            "namespace" => &mut namespace,
            "lastHour" => &mut last_hour,
            _ => return Err(unknown_parameter()),
        };
        if !value.is_empty() && field.replace(value.into_owned()).is_some() {
            return Err(invalid(&parameter, "is repeated"));
        }
    }
    Ok(TalliesQuery {
        namespace: namespace.map(|text| name("namespace", text)).transpose()?,
        last_hour: match last_hour.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("lastHour", "must be true or false")),
        },
    })
}

/// Parses the body of a replay by filter. It selects finished deliveries; the default state is
/// dead. Deliveries that start at `now` or later are excluded, so that a replay does not select the
/// deliveries it creates.
///
/// # Errors
/// [`AdminError::InvalidFilter`] for an unknown or invalid field.
pub fn replay(body: &[u8], now: Moment) -> Result<Filter, AdminError> {
    let fields: FilterFields = serde_json::from_slice(body)
        .map_err(|error| AdminError::InvalidFilter(format!("invalid filter: {error}")))?;
    let mut filter = fields.filter(now)?;
    if filter.state == Some(DeliveryState::Pending) {
        return Err(invalid(
            "state",
            "must be dead or succeeded: pending deliveries are attempted without a replay",
        ));
    }
    filter.state.get_or_insert(DeliveryState::Dead);
    filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
    Ok(filter)
}

/// The cursor of the page after this delivery.
pub fn cursor(last: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(last.as_bytes())
}

fn read_cursor(text: &str) -> Result<Uuid, AdminError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    id.ok_or_else(|| invalid("cursor", "must be the cursor of a previous response"))
}

/// Parses the maximum number of items.
pub fn read_limit(text: &str) -> Result<usize, AdminError> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| invalid("limit", "must be a number from 1 to 500"))
}

/// Checks the name of an object.
pub fn name(field: &'static str, text: String) -> Result<String, AdminError> {
    if text.is_empty() || text.len() > MAX_NAME {
        return Err(invalid(field, "must be a name of 1 to 253 characters"));
    }
    Ok(text)
}

fn state(text: &str) -> Result<DeliveryState, AdminError> {
    let state: Result<StateView, _> = text.parse();
    let state = state.map_err(|_| invalid("state", "must be pending, succeeded or dead"))?;
    Ok(state.stored())
}

/// Error of an unknown parameter. The message does not repeat the parameter, which is arbitrary
/// input.
pub fn unknown_parameter() -> AdminError {
    AdminError::InvalidFilter("unknown parameter".into())
}

/// Error of an invalid field.
pub fn invalid(field: &str, why: &str) -> AdminError {
    AdminError::InvalidFilter(format!("{field} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000_000_000);

    fn why(error: AdminError) -> String {
        error.to_string()
    }

    #[test]
    fn a_query_selects_deliveries_and_an_empty_one_selects_all() {
        let none = ListQuery { filter: Filter::default(), cursor: None, limit: 50 };
        assert_eq!(list("", NOW).unwrap(), none);
        assert_eq!(list("namespace=&webhook=&state=&since=&limit=&cursor=", NOW).unwrap(), none);
        let id = Uuid::from_u128(7);
        let query = format!(
            "namespace=team-a&webhook=pay&state=dead&since=1970-01-01T01:00:01%2B01:00&until=1h&limit=500&cursor={}",
            cursor(id)
        );
        let filter = Filter {
            namespace: Some("team-a".into()),
            webhook: Some("pay".into()),
            state: Some(DeliveryState::Dead),
            since: Some(Moment(1_000)),
            until: Some(Moment(NOW.0 - 3_600_000)),
        };
        assert_eq!(list(&query, NOW).unwrap(), ListQuery { filter, cursor: Some(id), limit: 500 });
    }

    #[test]
    fn an_invalid_query_is_an_error_with_the_reason() {
        for (query, message) in [
            ("limit=0", "limit must be a number from 1 to 500"),
            ("limit=501", "limit must be a number from 1 to 500"),
            ("limit=x", "limit must be a number from 1 to 500"),
            ("cursor=x", "cursor must be the cursor of a previous response"),
            ("state=Dead", "state must be pending, succeeded or dead"),
            ("state=waiting", "state must be pending, succeeded or dead"),
            ("state=dead&state=dead", "state is repeated"),
            ("name=x", "unknown parameter"),
        ] {
            assert_eq!(why(list(query, NOW).unwrap_err()), message, "{query}");
        }
        assert!(why(list("since=tomorrow", NOW).unwrap_err()).starts_with("since must be a time"));
        let long = format!("webhook={}", "a".repeat(254));
        assert_eq!(
            why(list(&long, NOW).unwrap_err()),
            "webhook must be a name of 1 to 253 characters"
        );
    }

    #[test]
    fn a_replay_selects_dead_deliveries_until_now_by_default() {
        let dead = replay(b"{}", NOW).unwrap();
        assert_eq!((dead.state, dead.until), (Some(DeliveryState::Dead), Some(NOW)));
        let body = br#"{"state":"succeeded","until":"2100-01-01T00:00:00Z","since":"7d","namespace":null}"#;
        let succeeded = replay(body, NOW).unwrap();
        assert_eq!((succeeded.state, succeeded.until), (Some(DeliveryState::Succeeded), Some(NOW)));
        for body in
            ["", "[]", "{", r#"{"state":"pending"}"#, r#"{"namespace":""}"#, r#"{"id":"x"}"#]
        {
            assert!(replay(body.as_bytes(), NOW).is_err(), "{body}");
        }
    }
}
