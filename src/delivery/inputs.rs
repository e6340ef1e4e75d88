//! The inputs of a webhook's expressions, as they follow from a trigger.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderMap;
use jiff::Timestamp;
use uuid::Uuid;

use crate::event::{self, EventError};

/// `now`: the time of acceptance. It is the one in the event's id, so that it is the same at each
/// evaluation.
pub fn accepted_at(id: Uuid) -> Timestamp {
    let time = id.get_timestamp().map(|time| time.to_unix());
    let time = time.and_then(|(seconds, nanoseconds)| {
        let seconds = i64::try_from(seconds).ok()?;
        Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
    });
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `headers`: those whose name is selected, as a JSON object of strings. Repeated headers are
/// joined by ", " (RFC 9110, section 5.3). A value that is not UTF-8 is ISO-8859-1, so that different
/// values stay different.
pub fn headers_text(headers: &HeaderMap, is_selected: impl Fn(&str) -> bool) -> Vec<u8> {
    let mut map: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| is_selected(name.as_str())) {
        let value = match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
        };
        match map.get_mut(name.as_str()) {
            Some(joined) => joined.extend([", ", &value]),
            None => drop(map.insert(name.as_str(), value.into_owned())),
        }
    }
    // Serializing a map of strings cannot fail.
    serde_json::to_vec(&map).unwrap_or_default()
}

/// `query`: the query string as a form event, an object of strings, and of lists of strings for
/// repeated names.
///
/// # Errors
/// It has too many parameters.
pub fn query_text(query: &str) -> Result<Vec<u8>, EventError> {
    Ok(event::from_query(query)?.text().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::store::Ids;

    #[test]
    fn now_is_the_time_at_which_the_event_got_its_id() {
        let accepted = Timestamp::from_millisecond(1_795_852_800_123).unwrap();
        let id = Ids::default().next(Moment(1_795_852_800_123));
        assert_eq!(accepted_at(id), accepted);
    }
}
