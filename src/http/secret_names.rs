//! Names of headers, members and fields whose values are secrets. Pure.

/// A name that contains one of these is secret.
const SECRET_PARTS: [&str; 3] = ["authorization", "cookie", "signature"];

/// A name that ends with one of these is secret. Only suffixes, so that `tokens_used` is shown.
const SECRET_SUFFIXES: [&str; 12] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "credentials",
    "sessionid",
    "jwt",
];

/// Whether the value with this name is a secret.
pub fn is_secret(name: &str) -> bool {
    let plain = |c: &char| !matches!(c, '-' | '_' | '.' | ' ');
    let name: String = name.chars().filter(plain).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_PARTS.iter().any(|part| name.contains(part))
        || SECRET_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognized_by_name() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "cookie",
            "x-gitlab-token",
            "X-Hub-Signature-256",
            "x-api-key",
            "apiKey",
            "client_secret",
            "accessToken",
            "private.key",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["content-type", "x-github-event", "tokens_used", "key", "secretary", "id", ""]
        {
            assert!(!is_secret(name), "{name}");
        }
    }
}
