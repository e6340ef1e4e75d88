//! The signed text as a template: `{timestamp}.{body}`.

use http::HeaderName;

/// A part of the signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TemplatePart {
    /// Fixed text.
    Literal(Box<str>),
    /// The value of the id header.
    Id,
    /// The timestamp, as received.
    Timestamp,
    /// The method of the request, in capital letters.
    Method,
    /// The external URL of the request, query included.
    Url,
    /// The path of the external URL, without the query.
    Path,
    /// The value of a header.
    Header(HeaderName),
    /// The SHA-256 of the raw body, in lower-case hexadecimal digits.
    Sha256,
    /// The CRC-32 of the raw body (ISO 3309, as in gzip), in decimal digits.
    Crc32,
    /// The raw body.
    Body,
    /// The sorted parameters of a form; empty for another body, which is signed by its digest.
    Form,
}

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An unknown placeholder.
    #[error(
        "{{{0}}} is not one of {{id}}, {{timestamp}}, {{method}}, {{url}}, {{path}}, {{header:NAME}}, {{body}}, {{sha256:body}} and {{crc32:body}}"
    )]
    UnknownPlaceholder(String),
    /// A brace without its counterpart.
    #[error("a brace is not closed")]
    UnbalancedBrace,
    /// A signature that does not cover the body does not authenticate it.
    #[error("the signed text must include {{body}}, {{sha256:body}} or {{crc32:body}}")]
    WithoutBody,
    /// Without a text after it, the end of the header's value could be the beginning of what
    /// follows.
    #[error("{{header:{0}}} must be followed by a fixed text, or be the last")]
    HeaderWithoutEnd(HeaderName),
}

/// Parses a template. It has no escape: no provider signs a brace.
pub(super) fn parse(template: &str) -> Result<Box<[TemplatePart]>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (literal, placeholder) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        if literal.contains('}') {
            return Err(TemplateError::UnbalancedBrace);
        }
        if !literal.is_empty() {
            parts.push(TemplatePart::Literal(literal.into()));
        }
        let Some(placeholder) = placeholder.strip_prefix('{') else { break };
        let (name, after) = placeholder.split_once('}').ok_or(TemplateError::UnbalancedBrace)?;
        parts.push(placeholder_named(name)?);
        rest = after;
    }
    if !parts.iter().any(TemplatePart::covers_body) {
        return Err(TemplateError::WithoutBody);
    }
    for pair in parts.windows(2) {
        if let [TemplatePart::Header(name), next] = pair
            && !matches!(next, TemplatePart::Literal(_))
        {
            return Err(TemplateError::HeaderWithoutEnd(name.clone()));
        }
    }
    Ok(parts.into())
}

impl TemplatePart {
    fn covers_body(&self) -> bool {
        matches!(self, Self::Body | Self::Form | Self::Sha256 | Self::Crc32)
    }
}

/// The character that follows the part at `place`, if a fixed text does. A value at this place must
/// not contain it: otherwise the signed text could be split differently (Standard Webhooks
/// specification, "Signature scheme").
pub(super) fn end(parts: &[TemplatePart], place: usize) -> Option<char> {
    match parts.get(place + 1) {
        Some(TemplatePart::Literal(text)) => text.chars().next(),
        _ => None,
    }
}

fn placeholder_named(name: &str) -> Result<TemplatePart, TemplateError> {
    match name {
        "id" => Ok(TemplatePart::Id),
        "timestamp" => Ok(TemplatePart::Timestamp),
        "method" => Ok(TemplatePart::Method),
        "url" => Ok(TemplatePart::Url),
        "path" => Ok(TemplatePart::Path),
        "sha256:body" => Ok(TemplatePart::Sha256),
        "crc32:body" => Ok(TemplatePart::Crc32),
        "body" => Ok(TemplatePart::Body),
        "form" => Ok(TemplatePart::Form),
        _ => {
            let header = name.strip_prefix("header:").and_then(|name| name.parse().ok());
            let unknown = || TemplateError::UnknownPlaceholder(name.into());
            header.map(TemplatePart::Header).ok_or_else(unknown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_its_pieces_in_order() {
        let literal = |text: &str| TemplatePart::Literal(text.into());
        for (template, parts) in [
            ("{body}", vec![TemplatePart::Body]),
            (
                "v0:{timestamp}:{body}",
                vec![literal("v0:"), TemplatePart::Timestamp, literal(":"), TemplatePart::Body],
            ),
            (
                "{method}{path}{header:X-A}.{sha256:body}{crc32:body}",
                vec![
                    TemplatePart::Method,
                    TemplatePart::Path,
                    TemplatePart::Header(HeaderName::from_static("x-a")),
                    literal("."),
                    TemplatePart::Sha256,
                    TemplatePart::Crc32,
                ],
            ),
            (
                "{id}{url}{body}é",
                vec![TemplatePart::Id, TemplatePart::Url, TemplatePart::Body, literal("é")],
            ),
        ] {
            assert_eq!(&*parse(template).unwrap(), parts);
        }
    }

    #[test]
    fn a_mistake_is_reported() {
        for (template, error) in [
            ("", TemplateError::WithoutBody),
            ("{timestamp}", TemplateError::WithoutBody),
            ("{header:X-A}{body}", TemplateError::HeaderWithoutEnd(HeaderName::from_static("x-a"))),
            ("{header:a b}.{body}", TemplateError::UnknownPlaceholder("header:a b".into())),
            ("{sha256}{body}", TemplateError::UnknownPlaceholder("sha256".into())),
            ("{bod}", TemplateError::UnknownPlaceholder("bod".into())),
            ("{}{body}", TemplateError::UnknownPlaceholder("".into())),
            ("{body", TemplateError::UnbalancedBrace),
            ("body}", TemplateError::UnbalancedBrace),
            ("{body}}", TemplateError::UnbalancedBrace),
            ("{{body}}", TemplateError::UnknownPlaceholder("{body".into())),
        ] {
            assert_eq!(parse(template), Err(error), "{template}");
        }
    }
}
