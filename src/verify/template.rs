//! The signed text as a template: `{timestamp}.{body}`.

/// A part of the signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TemplatePart {
    /// Fixed text.
    Literal(Box<str>),
    /// The value of the id header.
    Id,
    /// The timestamp, as received.
    Timestamp,
    /// The external URL of the request, query included.
    Url,
    /// The raw body.
    Body,
    /// The sorted parameters of a form; empty for another body, which is signed by its digest.
    Form,
}

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An unknown placeholder.
    #[error("{{{0}}} is not one of {{id}}, {{timestamp}}, {{url}} and {{body}}")]
    UnknownPlaceholder(String),
    /// A brace without its counterpart.
    #[error("a brace is not closed")]
    UnbalancedBrace,
    /// A signature that does not cover the body does not authenticate it.
    #[error("the signed text must include {{body}}")]
    WithoutBody,
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
    if !parts.iter().any(|part| matches!(part, TemplatePart::Body | TemplatePart::Form)) {
        return Err(TemplateError::WithoutBody);
    }
    Ok(parts.into())
}

fn placeholder_named(name: &str) -> Result<TemplatePart, TemplateError> {
    match name {
        "id" => Ok(TemplatePart::Id),
        "timestamp" => Ok(TemplatePart::Timestamp),
        "url" => Ok(TemplatePart::Url),
        "body" => Ok(TemplatePart::Body),
        "form" => Ok(TemplatePart::Form),
        _ => Err(TemplateError::UnknownPlaceholder(name.into())),
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
