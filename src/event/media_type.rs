//! Selects the parser for a body by its `Content-Type`.

/// The parser for a content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    UrlEncoded,
    Multipart,
    /// A type whose bodies are bytes, also if they happen to be text.
    Binary,
    /// Any other type, including malformed header values.
    Other,
}

impl MediaType {
    /// Type and subtype are case-insensitive (RFC 9110, 8.3.1). `text/json` was never registered
    /// but is sent; browsers report violations of a Content Security Policy as
    /// `application/csp-report`.
    pub(crate) fn of(content_type: &[u8]) -> Self {
        let essence = essence(content_type).to_ascii_lowercase();
        match essence.as_slice() {
            b"application/json" | b"text/json" | b"application/csp-report" => Self::Json,
            b"application/x-www-form-urlencoded" => Self::UrlEncoded,
            b"multipart/form-data" => Self::Multipart,
            essence if has_json_suffix(essence) => Self::Json,
            essence if is_binary(essence) => Self::Binary,
            _ => Self::Other,
        }
    }
}

/// Type and subtype, without parameters and the blanks around them.
pub(super) fn essence(content_type: &[u8]) -> &[u8] {
    content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Types with only binary formats. Those with a text format, such as SVG, have the suffix `+xml`.
const BINARY_PREFIXES: [&str; 9] = [
    "audio/",
    "avro/",
    "font/",
    "image/",
    "video/",
    "application/grpc",
    "application/pkcs",
    "application/vnd.oasis.opendocument.",
    "application/vnd.openxmlformats-officedocument.",
];

/// Names and structured suffixes (RFC 6838, 4.2.8) of binary formats, at the end of a type.
const BINARY_SUFFIXES: [&str; 12] = [
    "+avro",
    "+cbor",
    "+cbor-seq",
    "+cwt",
    "+der",
    "+gzip",
    "+msgpack",
    "+wbxml",
    "+zip",
    "+zstd",
    "+sqlite3",
    "protobuf",
];

/// Other binary types of `application/`, with and without `x-`.
const BINARY_APPLICATIONS: [&str; 34] = [
    "7z-compressed",
    "avro",
    "avro-binary",
    "brotli",
    "bzip",
    "bzip2",
    "cbor",
    "cbor-seq",
    "cose",
    "cwt",
    "deflate",
    "flatbuffers",
    "gzip",
    "java-archive",
    "java-serialized-object",
    "msgpack",
    "msword",
    "ocsp-request",
    "octet-stream",
    "parquet",
    "pdf",
    "rar-compressed",
    "tar",
    "thrift",
    "vnd.apache.avro",
    "vnd.apache.parquet",
    "vnd.ms-excel",
    "vnd.ms-powerpoint",
    "vnd.msgpack",
    "vnd.sqlite3",
    "wasm",
    "xz",
    "zip",
    "zstd",
];

/// Whether a type, in lower case, is in these lists.
fn is_binary(essence: &[u8]) -> bool {
    let Ok(essence) = str::from_utf8(essence) else { return false };
    if essence.ends_with("+xml") {
        return false;
    }
    let application = essence.strip_prefix("application/").unwrap_or_default();
    let application = application.strip_prefix("x-").unwrap_or(application);
    BINARY_PREFIXES.iter().any(|prefix| essence.starts_with(prefix))
        || BINARY_SUFFIXES.iter().any(|suffix| essence.ends_with(suffix))
        || BINARY_APPLICATIONS.contains(&application)
}

/// Whether the subtype has the suffix of RFC 6839, 3.1, as in `application/cloudevents+json`.
fn has_json_suffix(essence: &[u8]) -> bool {
    let mut halves = essence.split(|&byte| byte == b'/');
    let (Some(kind), Some(subtype), None) = (halves.next(), halves.next(), halves.next()) else {
        return false;
    };
    is_token(kind) && is_token(subtype) && subtype.len() > 5 && subtype.ends_with(b"+json")
}

/// Whether the text is a token (RFC 9110, 5.6.2). This distinguishes `a/b+json` from a list of
/// types and from invalid values.
fn is_token(part: &[u8]) -> bool {
    !part.is_empty()
        && part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_read_without_its_case_and_parameters() {
        for (content_type, expected) in [
            (&b"application/json"[..], MediaType::Json),
            (b"Application/JSON; charset=utf-8", MediaType::Json),
            (b" application/json ;", MediaType::Json),
            (b"application/cloudevents+json", MediaType::Json),
            (b"application/CloudEvents-Batch+JSON;v=1", MediaType::Json),
            (b"application/x-www-form-urlencoded", MediaType::UrlEncoded),
            (b"APPLICATION/X-WWW-FORM-URLENCODED;charset=latin1", MediaType::UrlEncoded),
            (b"text/json", MediaType::Json),
            (b"application/csp-report", MediaType::Json),
            (b"multipart/form-data; boundary=x", MediaType::Multipart),
            (b"Multipart/Form-Data", MediaType::Multipart),
        ] {
            assert_eq!(MediaType::of(content_type), expected);
        }
    }

    #[test]
    fn binary_types_are_known_by_name_and_by_suffix() {
        for content_type in [
            "application/octet-stream",
            "Application/Octet-Stream; charset=utf-8",
            "application/x-protobuf; messageType=x",
            "application/vnd.google.protobuf",
            "image/png",
            "audio/ogg",
            "video/mp4",
            "font/woff2",
            "avro/binary",
            "application/vnd.kafka+avro",
            "application/senml+cbor",
            "application/epub+zip",
            "application/pdf",
            "application/zip",
            "application/x-gzip",
            "application/msgpack",
            "application/x-msgpack",
            "application/cbor",
            "application/zstd",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ] {
            assert_eq!(MediaType::of(content_type.as_bytes()), MediaType::Binary, "{content_type}");
        }
        for content_type in ["image/svg+xml", "application/xml", "text/csv", "application/x-zipper"]
        {
            assert_eq!(MediaType::of(content_type.as_bytes()), MediaType::Other, "{content_type}");
        }
    }

    #[test]
    fn every_other_content_type_is_other() {
        for content_type in [
            &b"text/plain"[..],
            b"application/xml",
            b"application/jsonp",
            b"application/+json",
            b"application+json",
            b"/a+json",
            b"a/b/c+json",
            b"application/json, application/json",
            b"text/plain, a/b+json",
            b"multipart/mixed; boundary=x",
            b"\xff\xfe",
            b";application/json",
        ] {
            assert_eq!(MediaType::of(content_type), MediaType::Other);
        }
    }
}
