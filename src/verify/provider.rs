//! The providers, one row each: where the signature is, what it covers, and what else the provider
//! sends.
//!
//! A new provider is a row here, its vectors under `tests/`, and its part of `docs/providers.md`.

use std::time::Duration;

use http::StatusCode;

use super::challenge::{
    Challenge, ChallengeCondition, ChallengeMethod, ChallengeProof, ChallengeResponse,
    ResponseMember,
};
use super::encoding::Encoding;
use super::key::Algorithm;
use super::layout::Layout;
use super::position::Position;
use super::scheme::{Scheme, Signature, Source, Timestamp, Token, TokenForm};
use super::secret_form::SecretForm;
use super::timestamp::{DEFAULT_TOLERANCE, TimestampFormat};
use super::unsigned_check::UnsignedCheck;
use super::url::UrlForm;

/// A row of the table.
#[derive(Debug)]
pub struct Provider {
    /// The `type` of the entry in `spec.verify`.
    pub name: &'static str,
    /// The accepted schemes; one match is enough. A secret applies to each scheme whose form it
    /// has.
    pub schemes: &'static [Scheme<'static>],
    /// Weaker schemes, accepted only if the user enables them.
    pub legacy_schemes: &'static [Scheme<'static>],
    /// Headers that describe the event; they are passed to the listener.
    pub event_headers: &'static [&'static str],
    /// The position of the delivery id, which is the same for each redelivery. A signed id takes
    /// precedence.
    pub delivery: Option<Delivery<'static>>,
    /// Whether the provider repeats a delivery by itself.
    pub repeats: Repeats,
    /// The field of forms that has the event, as JSON. Forms without it are events themselves.
    pub form_field: Option<&'static str>,
    /// The requests by which the provider verifies the endpoint.
    pub challenges: &'static [Challenge<'static>],
    /// The response to an accepted event, if the provider does not take any 2xx response.
    pub response: Option<ProviderResponse>,
    /// The default limit of a body in bytes, if the provider sends larger ones than the default of
    /// all webhooks allows.
    pub max_body_bytes: Option<u32>,
    /// A check of the endpoint that the provider sends without a signature.
    pub unsigned_check: Option<UnsignedCheck>,
}

/// The response that a provider wants.
#[derive(Debug)]
pub struct ProviderResponse {
    /// The status.
    pub status: StatusCode,
    /// The content type of the body, if there is a body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: &'static str,
}

impl ProviderResponse {
    /// A response without a body.
    const fn empty(status: StatusCode) -> Self {
        Self { status, content_type: None, body: "" }
    }
}

/// Who causes the repetition of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeats {
    /// The sender, if it got no response that it takes for a success. It may do so although the
    /// delivery was accepted.
    #[default]
    ByItself,
    /// A person, who wants it to be delivered again. The sender never repeats a delivery by itself.
    ByHand,
}

/// The position of a delivery id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// A header.
    Header(&'a str),
    /// The first of these headers that the request has.
    FirstHeader(&'a [&'a str]),
    /// The second header, together with the first one if the request has it. The id in the second
    /// header is shared by all endpoints that the sender sends the event to; the first one is the
    /// endpoint.
    PerEndpoint(&'a str, &'a str),
    /// A value in the JSON of the body, by its JSON pointer.
    Pointer(&'a str),
}

impl Provider {
    const PLAIN: Self = Self {
        name: "",
        schemes: &[],
        legacy_schemes: &[],
        event_headers: &[],
        delivery: None,
        repeats: Repeats::ByItself,
        form_field: None,
        challenges: &[],
        response: None,
        max_body_bytes: None,
        unsigned_check: None,
    };

    /// The provider of a `type`; case-sensitive.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }

    /// Whether the provider proves a challenge with the verify token of the entry.
    pub fn has_verify_token(&self) -> bool {
        let mut proofs = self.challenges.iter().map(|challenge| challenge.proof);
        proofs.any(|proof| matches!(proof, ChallengeProof::VerifyToken(_)))
    }

    /// Whether the provider's requests can have a delivery id.
    pub fn names_deliveries(&self) -> bool {
        let is_signed = |scheme: &Scheme<'_>| {
            matches!(scheme, Scheme::Signature(Signature { id: Some(_), .. }))
        };
        self.delivery.is_some() || self.schemes.iter().any(is_signed)
    }
}

/// Every provider, and the two generic types that have no options.
pub static PROVIDERS: &[Provider] = &[
    // GitHub Docs: "Validating webhook deliveries", "Webhook events and payloads" (payloads are
    // capped at 25 MB), "Handling failed webhook deliveries" (no automatic redelivery). Two hooks, or
    // two Apps, with the same URL send different payloads with the same GUID (github/docs#32822).
    Provider {
        name: "GitHub",
        schemes: &[prefixed("x-hub-signature-256", "sha256=", Algorithm::HmacSha256)],
        legacy_schemes: &[prefixed("x-hub-signature", "sha1=", Algorithm::HmacSha1)],
        event_headers: &[
            "x-github-event",
            "x-github-delivery",
            "x-github-hook-id",
            "x-github-hook-installation-target-id",
            "x-github-hook-installation-target-type",
        ],
        delivery: Some(Delivery::PerEndpoint("x-github-hook-id", "x-github-delivery")),
        repeats: Repeats::ByHand,
        max_body_bytes: Some(25 * 1024 * 1024),
        form_field: Some("payload"),
        ..Provider::PLAIN
    },
    // GitLab Docs: "Webhooks" (secret token, signing token, delivery headers). The signing token is
    // Standard Webhooks. `X-Gitlab-Event-UUID` is no delivery id: different events that cause each
    // other share it, and a retry has another one. Older versions send no delivery id.
    Provider {
        name: "GitLab",
        schemes: &[
            standard_webhooks(
                "webhook-signature",
                "webhook-timestamp",
                "webhook-id",
                SIGNING_TOKEN,
            ),
            Scheme::Token(Token { at: Position::Header("x-gitlab-token"), form: TokenForm::Whole }),
        ],
        event_headers: &[
            "x-gitlab-event",
            "x-gitlab-event-uuid",
            "x-gitlab-webhook-uuid",
            "x-gitlab-instance",
            "idempotency-key",
        ],
        delivery: Some(Delivery::Header("idempotency-key")),
        ..Provider::PLAIN
    },
    // Bitbucket Cloud: "Manage webhooks", "Event payloads"; Bitbucket Data Center: "Manage
    // webhooks". SHA-256, in the header that other providers use for SHA-1. "Test connection" of Data
    // Center is not signed (runatlantis/atlantis#474).
    Provider {
        name: "Bitbucket",
        schemes: &[prefixed("x-hub-signature", "sha256=", Algorithm::HmacSha256)],
        event_headers: &[
            "x-event-key",
            "x-hook-uuid",
            "x-request-uuid",
            "x-request-id",
            "x-attempt-number",
        ],
        delivery: Some(Delivery::FirstHeader(&["x-request-uuid", "x-request-id"])),
        unsigned_check: Some(UnsignedCheck::Header("x-event-key", "diagnostics:ping")),
        ..Provider::PLAIN
    },
    // Gitea Documentation: "Webhooks"; Forgejo: "Webhooks"; Gogs: "Webhooks". The forks use the
    // same scheme and renamed the header. None of them repeats a delivery unless somebody asks for it.
    Provider {
        name: "Gitea",
        schemes: &[
            prefixed("x-gitea-signature", "", Algorithm::HmacSha256),
            prefixed("x-forgejo-signature", "", Algorithm::HmacSha256),
            prefixed("x-gogs-signature", "", Algorithm::HmacSha256),
        ],
        event_headers: &[
            "x-gitea-event",
            "x-gitea-event-type",
            "x-gitea-delivery",
            "x-forgejo-event",
            "x-forgejo-event-type",
            "x-forgejo-delivery",
            "x-gogs-event",
            "x-gogs-event-type",
            "x-gogs-delivery",
        ],
        delivery: Some(Delivery::FirstHeader(&[
            "x-gitea-delivery",
            "x-forgejo-delivery",
            "x-gogs-delivery",
        ])),
        repeats: Repeats::ByHand,
        form_field: Some("payload"),
        ..Provider::PLAIN
    },
    // Stripe Docs: "Receive Stripe events in your webhook endpoint", "Verify webhook signatures
    // manually". Its secrets begin with `whsec_` too, but the whole text is the key.
    Provider {
        name: "Stripe",
        schemes: &[composite("stripe-signature", ',', "v1", "t", "{timestamp}.{body}")],
        delivery: Some(Delivery::Pointer("/id")),
        ..Provider::PLAIN
    },
    // Slack API: "Verifying requests from Slack", "url_verification event", "Using the Events API",
    // "Slash commands", "Handling user interaction" (200, and the body becomes a message). Slack
    // checks the certificate of a command's URL with an unsigned form (slackapi/bolt-js#614).
    Provider {
        name: "Slack",
        schemes: &[v0("x-slack-signature", "x-slack-request-timestamp")],
        event_headers: &["x-slack-retry-num", "x-slack-retry-reason"],
        // Interactive components; commands are forms without it.
        form_field: Some("payload"),
        delivery: Some(Delivery::Pointer("/event_id")),
        // `url_verification`.
        challenges: &[Challenge {
            when: &[ChallengeCondition::Text(Position::Pointer("/type"), "url_verification")],
            at: Some(Position::Pointer("/challenge")),
            ..SIGNED
        }],
        unsigned_check: Some(UnsignedCheck::FormField("ssl_check", "1")),
        response: Some(ProviderResponse::empty(StatusCode::OK)),
        ..Provider::PLAIN
    },
    // Shopify Dev Docs: "Deliver webhooks through HTTPS", "About webhooks" (headers), "Events" (the
    // same headers without `X-`).
    Provider {
        name: "Shopify",
        schemes: &[shopify("x-shopify-hmac-sha256"), shopify("shopify-hmac-sha256")],
        event_headers: &[
            "x-shopify-topic",
            "x-shopify-name",
            "x-shopify-sub-topic",
            "x-shopify-shop-domain",
            "x-shopify-api-version",
            "x-shopify-webhook-id",
            "x-shopify-event-id",
            "x-shopify-triggered-at",
            "shopify-webhook-id",
        ],
        delivery: Some(Delivery::FirstHeader(&["x-shopify-webhook-id", "shopify-webhook-id"])),
        ..Provider::PLAIN
    },
    // Twilio Docs: "Security" (validating requests, bodySHA256), "Webhooks (HTTP callbacks)", "Error
    // 12300: Invalid Content-Type" (messages and calls expect TwiML), "Sign webhooks with shared
    // keys". A shared key signs with either algorithm, named in
    // `X-Twilio-Webhooks-Signature-Settings`; that header is not read, as it is not signed and the
    // length of the signature says the same.
    Provider {
        name: "Twilio",
        schemes: &[twilio(Algorithm::HmacSha1), twilio(Algorithm::HmacSha256)],
        event_headers: &["i-twilio-idempotency-token"],
        delivery: Some(Delivery::Header("i-twilio-idempotency-token")),
        response: Some(ProviderResponse {
            status: StatusCode::OK,
            content_type: Some("text/xml"),
            body: "<Response/>",
        }),
        ..Provider::PLAIN
    },
    // Zoom Developer Docs: "Using webhooks" (verify webhook events, validate your endpoint; 200 or
    // 204 within three seconds). No id of a delivery: nothing says that a retry repeats
    // `x-zm-trackingid`, and bodies have no id.
    Provider {
        name: "Zoom",
        schemes: &[v0("x-zm-signature", "x-zm-request-timestamp")],
        // Its signed texts are `v0:...`.
        challenges: &[Challenge {
            when: &[ChallengeCondition::Text(
                Position::Pointer("/event"),
                "endpoint.url_validation",
            )],
            at: Some(Position::Pointer("/payload/plainToken")),
            answer: ChallengeResponse::Json(&[
                ("plainToken", ResponseMember::Challenge),
                ("encryptedToken", ResponseMember::HexMac(':')),
            ]),
            ..SIGNED
        }],
        response: Some(ProviderResponse::empty(StatusCode::OK)),
        ..Provider::PLAIN
    },
    // Linear Developers: "Webhooks" (securing webhooks; it retries after any status but 200). It
    // recommends one minute, not five.
    Provider {
        name: "Linear",
        schemes: &[Scheme::Signature(Signature {
            header: "linear-signature",
            timestamp: Some(Timestamp {
                source: Source::Pointer("/webhookTimestamp"),
                format: TimestampFormat::Unix,
                tolerance: Duration::from_secs(60),
            }),
            ..Signature::HMAC
        })],
        event_headers: &["linear-event", "linear-delivery"],
        delivery: Some(Delivery::Header("linear-delivery")),
        response: Some(ProviderResponse::empty(StatusCode::OK)),
        ..Provider::PLAIN
    },
    // Discord Developer Docs: "Interactions Overview" (setting up an endpoint), "Webhook Events"
    // (204).
    Provider {
        name: "Discord",
        schemes: &[Scheme::Signature(Signature {
            header: "x-signature-ed25519",
            algorithm: Algorithm::Ed25519,
            secret: SecretForm::Hex,
            signed: "{timestamp}{body}",
            timestamp: within_default(Source::Header("x-signature-timestamp")),
            ..Signature::HMAC
        })],
        // The PINGs of webhook events, answered with 204 and a content type, and of the interactions
        // endpoint. In webhook events, type 1 is an event.
        challenges: &[
            Challenge {
                when: &[
                    ChallengeCondition::Number(Position::Pointer("/type"), 0),
                    ChallengeCondition::Absent(Position::Pointer("/event")),
                ],
                answer: ChallengeResponse::Empty(StatusCode::NO_CONTENT, "application/json"),
                ..SIGNED
            },
            Challenge {
                when: &[
                    ChallengeCondition::Number(Position::Pointer("/type"), 1),
                    ChallengeCondition::Absent(Position::Pointer("/event")),
                ],
                answer: ChallengeResponse::Json(&[("type", ResponseMember::Number(1))]),
                ..SIGNED
            },
        ],
        response: Some(ProviderResponse::empty(StatusCode::NO_CONTENT)),
        ..Provider::PLAIN
    },
    // Standard Webhooks specification: "Signature scheme", "Webhook headers"; Svix Docs: "Verifying
    // webhooks manually", which uses the older header names.
    Provider {
        name: "StandardWebhooks",
        schemes: &[
            standard_webhooks("webhook-signature", "webhook-timestamp", "webhook-id", SYMMETRIC),
            standard_webhooks("webhook-signature", "webhook-timestamp", "webhook-id", ASYMMETRIC),
            standard_webhooks("svix-signature", "svix-timestamp", "svix-id", SYMMETRIC),
            standard_webhooks("svix-signature", "svix-timestamp", "svix-id", ASYMMETRIC),
        ],
        event_headers: &["webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp"],
        ..Provider::PLAIN
    },
    // Meta for Developers: "Webhooks", "Getting started" (verification requests, validating
    // payloads). It signs the bytes as sent, with non-ASCII characters escaped. The key is the secret
    // of the app, or of the Instagram app where users log in with Instagram.
    Provider {
        name: "Meta",
        schemes: &[prefixed("x-hub-signature-256", "sha256=", Algorithm::HmacSha256)],
        challenges: &[Challenge {
            method: ChallengeMethod::Get,
            when: &[ChallengeCondition::Text(Position::Query("hub.mode"), "subscribe")],
            at: Some(Position::Query("hub.challenge")),
            answer: ChallengeResponse::Text,
            proof: ChallengeProof::VerifyToken(Position::Query("hub.verify_token")),
        }],
        ..Provider::PLAIN
    },
    // RFC 6750: "The OAuth 2.0 Authorization Framework: Bearer Token Usage".
    Provider {
        name: "Bearer",
        schemes: &[Scheme::Token(Token {
            at: Position::Header("authorization"),
            form: TokenForm::Bearer,
        })],
        ..Provider::PLAIN
    },
    // RFC 7617: "The 'Basic' HTTP Authentication Scheme".
    Provider {
        name: "Basic",
        schemes: &[Scheme::Token(Token {
            at: Position::Header("authorization"),
            form: TokenForm::Basic,
        })],
        ..Provider::PLAIN
    },
    // Mux Docs: "Verify webhook signatures". The id of an event is in the body.
    Provider {
        name: "Mux",
        schemes: &[composite("mux-signature", ',', "v1", "t", "{timestamp}.{body}")],
        delivery: Some(Delivery::Pointer("/id")),
        ..Provider::PLAIN
    },
    // Paddle Developer: "Verify webhook signatures" (several `h1` while a secret is rotated), "Handle
    // webhook delivery" (200 within five seconds).
    Provider {
        name: "Paddle",
        schemes: &[composite("paddle-signature", ';', "h1", "ts", "{timestamp}:{body}")],
        delivery: Some(Delivery::Pointer("/notification_id")),
        response: Some(ProviderResponse::empty(StatusCode::OK)),
        ..Provider::PLAIN
    },
    // PagerDuty Developer Documentation: "Webhooks Overview", "Verifying signatures" (several `v1` while
    // a secret is rotated; the time is not signed).
    Provider {
        name: "PagerDuty",
        schemes: &[Scheme::Signature(Signature {
            header: "x-pagerduty-signature",
            layout: Layout::Items { separator: ',', assign: '=', name: "v1" },
            ..Signature::HMAC
        })],
        event_headers: &["x-webhook-id", "x-webhook-subscription"],
        delivery: Some(Delivery::Pointer("/event/id")),
        ..Provider::PLAIN
    },
    // Square Developer: "Verify and validate an event notification" (the URL as it is configured, then
    // the body), "Webhooks overview" (retries, headers).
    Provider {
        name: "Square",
        schemes: &[Scheme::Signature(Signature {
            header: "x-square-hmacsha256-signature",
            encoding: Encoding::Base64,
            signed: "{url}{body}",
            ..Signature::HMAC
        })],
        event_headers: &["square-environment", "square-retry-number", "square-retry-reason"],
        delivery: Some(Delivery::Pointer("/event_id")),
        ..Provider::PLAIN
    },
];

/// A key type of Standard Webhooks: the name of the signature, the algorithm, the form of the
/// secret.
type StandardKey = (&'static str, Algorithm, SecretForm);

const SYMMETRIC: StandardKey =
    ("v1", Algorithm::HmacSha256, SecretForm::Base64 { prefix: "whsec_", bare: true });

const ASYMMETRIC: StandardKey =
    ("v1a", Algorithm::Ed25519, SecretForm::Base64 { prefix: "whpk_", bare: false });

/// A GitLab secret without the prefix is a secret token, not a signing token.
const SIGNING_TOKEN: StandardKey =
    ("v1", Algorithm::HmacSha256, SecretForm::Base64 { prefix: "whsec_", bare: false });

/// A challenge that is signed as an event is, and echoed as text.
const SIGNED: Challenge<'static> = Challenge {
    method: ChallengeMethod::Post,
    when: &[],
    at: None,
    answer: ChallengeResponse::Text,
    proof: ChallengeProof::Entry,
};

/// A signature of the body alone: hexadecimal digits after a prefix.
const fn prefixed(
    header: &'static str,
    prefix: &'static str,
    algorithm: Algorithm,
) -> Scheme<'static> {
    let layout = Layout::Prefixed(prefix);
    Scheme::Signature(Signature { header, layout, algorithm, ..Signature::HMAC })
}

/// Signatures and their time in one header: `t=...,v1=...`.
const fn composite(
    header: &'static str,
    separator: char,
    signature: &'static str,
    timestamp: &'static str,
    signed: &'static str,
) -> Scheme<'static> {
    Scheme::Signature(Signature {
        header,
        layout: Layout::Items { separator, assign: '=', name: signature },
        signed,
        timestamp: within_default(Source::Item(timestamp)),
        ..Signature::HMAC
    })
}

const fn shopify(header: &'static str) -> Scheme<'static> {
    Scheme::Signature(Signature { header, encoding: Encoding::Base64, ..Signature::HMAC })
}

const fn twilio(algorithm: Algorithm) -> Scheme<'static> {
    Scheme::Signature(Signature {
        header: "x-twilio-signature",
        encoding: Encoding::Base64,
        algorithm,
        signed: "{url}{form}",
        url: UrlForm::EitherPort,
        body_digest: Some("bodySHA256"),
        ..Signature::HMAC
    })
}

/// Slack's scheme, which Zoom uses as well.
const fn v0(header: &'static str, timestamp: &'static str) -> Scheme<'static> {
    Scheme::Signature(Signature {
        header,
        layout: Layout::Prefixed("v0="),
        signed: "v0:{timestamp}:{body}",
        timestamp: within_default(Source::Header(timestamp)),
        ..Signature::HMAC
    })
}

const fn standard_webhooks(
    header: &'static str,
    timestamp: &'static str,
    id: &'static str,
    (name, algorithm, secret): StandardKey,
) -> Scheme<'static> {
    Scheme::Signature(Signature {
        header,
        layout: Layout::Items { separator: ' ', assign: ',', name },
        encoding: Encoding::Base64,
        algorithm,
        secret,
        signed: "{id}.{timestamp}.{body}",
        timestamp: within_default(Source::Header(timestamp)),
        id: Some(id),
        ..Signature::HMAC
    })
}

const fn within_default(source: Source<'static>) -> Option<Timestamp<'static>> {
    Some(Timestamp { source, format: TimestampFormat::Unix, tolerance: DEFAULT_TOLERANCE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_the_name_of_the_contract() {
        let names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        assert_eq!(
            names.join(" "),
            "GitHub GitLab Bitbucket Gitea Stripe Slack Shopify Twilio Zoom Linear Discord \
             StandardWebhooks Meta Bearer Basic Mux Paddle PagerDuty Square"
        );
        for name in names {
            assert_eq!(Provider::named(name).unwrap().name, name);
        }
        assert!(Provider::named("github").is_none());
    }
}
