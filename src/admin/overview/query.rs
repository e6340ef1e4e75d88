//! Parses the queries of the lists of apps and webhooks. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::admin::deliveries::query::{
    DEFAULT_LIMIT, invalid, name, read_limit, unknown_parameter,
};
use crate::admin::error::AdminError;
use crate::plan::Key;
use crate::plan::overview::{Part, Position};

/// Parses the query of a list that supports the parameters in `filters`. Empty parameters are
/// ignored.
///
/// # Errors
/// [`AdminError::InvalidFilter`] for an unknown, repeated or invalid parameter.
pub fn part(query: &str, filters: &[&str]) -> Result<Part, AdminError> {
    let (mut namespace, mut app, mut cursor, mut limit) = (None, None, None, None);
    for (parameter, value) in form_urlencoded::parse(query.as_bytes()) {
        let field = match &*parameter {
            "namespace" => &mut namespace,
            "app" if filters.contains(&"app") => &mut app,
            "cursor" => &mut cursor,
            "limit" => &mut limit,
            _ => return Err(unknown_parameter()),
        };
        if !value.is_empty() && field.replace(value.into_owned()).is_some() {
            return Err(invalid(&parameter, "is repeated"));
        }
    }
    Ok(Part {
        namespace: namespace.map(|text| name("namespace", text)).transpose()?,
        app: app.map(|text| name("app", text)).transpose()?,
        after: cursor.map(|text| read_cursor(&text)).transpose()?,
        limit: limit.map_or(Ok(DEFAULT_LIMIT), |text| read_limit(&text))?,
    })
}

/// The cursor of the page after this position.
pub fn cursor(Position { is_well, key }: &Position) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {key}", u8::from(*is_well)))
}

fn read_cursor(text: &str) -> Result<Position, AdminError> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let position = decoded.as_deref().and_then(|text| {
        let (is_well, key) = text.split_once(' ')?;
        let (namespace, name) = key.split_once('/')?;
        Some(Position { is_well: is_well == "1", key: Key::new(namespace, name) })
    });
    position.ok_or_else(|| invalid("cursor", "must be the cursor of a previous response"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_filters_a_limit_and_a_cursor() {
        let position = Position { is_well: true, key: Key::new("team-a", "pay") };
        let query = format!("namespace=team-a&app=shop&limit=7&cursor={}", cursor(&position));
        let read = part(&query, &["namespace", "app"]).unwrap();
        assert_eq!(
            (read.namespace.as_deref(), read.app.as_deref()),
            (Some("team-a"), Some("shop"))
        );
        assert_eq!((read.after, read.limit), (Some(position), 7));
        let none = part("namespace=&cursor=", &[]).unwrap();
        assert!(none.namespace.is_none() && none.after.is_none());
        assert_eq!(none.limit, 50);
    }

    #[test]
    fn invalid_queries_are_rejected() {
        for query in [
            "app=x",
            "state=dead",
            "limit=0",
            "limit=501",
            "cursor=x",
            "cursor=eA",
            "namespace=a&namespace=b",
        ] {
            assert!(part(query, &["namespace"]).is_err(), "{query}");
        }
    }
}
