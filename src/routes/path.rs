//! The path of a trigger: `/apps/:app_uuid/webhooks/:webhook_uuid`, with or without a slash at the end.

use uuid::Uuid;

use super::Id;

/// The length of a UUID with hyphens (RFC 9562, section 4).
const UUID_LEN: usize = 36;

/// The position of the webhook's UUID, after `/apps/`.
const WEBHOOK_AT: usize = UUID_LEN + "/webhooks/".len();

/// The reason why a path is not a webhook's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not have the form of a webhook's path.
    #[error("not the path of a webhook")]
    NotFound,
    /// It has the form, but a part of it is not a UUID.
    #[error("not a UUID")]
    InvalidUuid,
}

/// Parses the two UUIDs, in upper or lower case. Nothing is percent-decoded: a UUID needs no
/// escape.
///
/// # Errors
/// See [`PathError`].
pub fn parse(path: &str) -> Result<Id, PathError> {
    let path = path.strip_prefix("/apps/").ok_or(PathError::NotFound)?;
    // The fast path: both UUIDs are at their usual positions.
    if path.get(UUID_LEN..WEBHOOK_AT) == Some("/webhooks/")
        && path.len() == WEBHOOK_AT + UUID_LEN
        && let (Ok(app), Ok(webhook)) = (uuid(&path[..UUID_LEN]), uuid(&path[WEBHOOK_AT..]))
    {
        return Ok(Id { app, webhook });
    }
    let mut segments = path.split('/');
    let app = segments.next().ok_or(PathError::NotFound)?;
    if segments.next() != Some("webhooks") {
        return Err(PathError::NotFound);
    }
    let webhook = segments.next().ok_or(PathError::NotFound)?;
    let is_end = matches!((segments.next(), segments.next()), (None | Some(""), None));
    if webhook.is_empty() || !is_end {
        return Err(PathError::NotFound);
    }
    Ok(Id { app: uuid(app)?, webhook: uuid(webhook)? })
}

/// The path of a webhook.
pub fn of(id: Id) -> String {
    let Id { app, webhook } = id;
    format!("/apps/{app}/webhooks/{webhook}")
}

/// Parses a UUID in its form with hyphens; the `uuid` crate alone would accept other forms as well.
pub fn uuid(text: &str) -> Result<Uuid, PathError> {
    if text.len() != UUID_LEN {
        return Err(PathError::InvalidUuid);
    }
    Uuid::try_parse(text).map_err(|_| PathError::InvalidUuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";
    const WEBHOOK: &str = "c14990db-96a1-44c6-b13a-8ab12db96f61";

    #[test]
    fn two_uuids_in_any_letter_case_are_read() {
        let id = Id { app: APP.parse().unwrap(), webhook: WEBHOOK.parse().unwrap() };
        assert_eq!(of(id), format!("/apps/{APP}/webhooks/{WEBHOOK}"));
        assert_eq!(parse(&of(id)), Ok(id));
        assert_eq!(parse(&format!("{}/", of(id))), Ok(id));
        let capitals = format!("/apps/{}/webhooks/{}", APP.to_uppercase(), WEBHOOK.to_uppercase());
        assert_eq!(parse(&capitals), Ok(id));
    }

    #[test]
    fn what_has_not_the_shape_is_not_found_and_what_has_it_needs_uuids() {
        use PathError::{InvalidUuid, NotFound};
        let cases = [
            ("/".into(), NotFound),
            (String::new(), NotFound),
            ("/apps".into(), NotFound),
            (format!("/apps/{APP}"), NotFound),
            (format!("/apps/{APP}/webhooks"), NotFound),
            (format!("/apps/{APP}/webhooks/"), NotFound),
            (format!("/apps/{APP}/webhooks/{WEBHOOK}//"), NotFound),
            (format!("/apps/{APP}/webhooks//"), NotFound),
            (format!("/apps/{APP}/webhooks/{WEBHOOK}/x"), NotFound),
            (format!("/apps/{APP}/hooks/{WEBHOOK}"), NotFound),
            (format!("//apps/{APP}/webhooks/{WEBHOOK}"), NotFound),
            (format!("/apps/{APP}/webhooks/nope"), InvalidUuid),
            (format!("/apps/nope/webhooks/{WEBHOOK}"), InvalidUuid),
            (format!("/apps/{}/webhooks/{WEBHOOK}", APP.replace('-', "")), InvalidUuid),
            (format!("/apps/{{{APP}}}/webhooks/{WEBHOOK}"), InvalidUuid),
            (format!("/apps/{APP}/webhooks/{}é", &WEBHOOK[..34]), InvalidUuid),
            (format!("/apps/{APP}/webhooks/%63{}", &WEBHOOK[3..]), InvalidUuid),
        ];
        for (path, error) in cases {
            assert_eq!(parse(&path), Err(error), "{path}");
        }
    }
}
