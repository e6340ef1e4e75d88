//! The signed text of one request, as pieces: joining them would copy the body.

use ring::digest;

use super::encoding::to_hex;
use super::form::Parameters;
use super::template::TemplatePart;
use super::{Input, url};

/// The parts of a template, and their values in one request.
pub(super) struct SignedMessage<'a> {
    pub(super) parts: &'a [TemplatePart],
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    /// The external URL up to the path, in one spelling.
    pub(super) url: [&'a str; 3],
    /// The request; its headers that are signed have been checked.
    pub(super) input: &'a Input<'a>,
    pub(super) form: &'a Parameters<'a>,
}

impl SignedMessage<'_> {
    /// Passes the pieces to `take`, in order.
    pub(super) fn pieces(&self, take: &mut dyn FnMut(&[u8])) {
        for part in self.parts {
            match part {
                TemplatePart::Literal(text) => take(text.as_bytes()),
                TemplatePart::Id => take(self.id.as_bytes()),
                TemplatePart::Timestamp => take(self.timestamp.as_bytes()),
                TemplatePart::Method => take(self.input.method.as_str().as_bytes()),
                TemplatePart::Header(name) => {
                    let value = self.input.headers.get(name);
                    take(value.map_or(&[], |value| value.as_bytes()));
                }
                TemplatePart::Body => take(self.input.body),
                TemplatePart::Sha256 => {
                    let digest = digest::digest(&digest::SHA256, self.input.body);
                    take(to_hex(digest.as_ref()).as_bytes());
                }
                TemplatePart::Crc32 => {
                    take(crc32fast::hash(self.input.body).to_string().as_bytes());
                }
                TemplatePart::Url => {
                    self.url.iter().for_each(|piece| take(piece.as_bytes()));
                    take(self.input.path_and_query.as_bytes());
                }
                TemplatePart::Path => {
                    take(url::path(&self.url.concat()).as_bytes());
                    take(self.input.path().as_bytes());
                }
                TemplatePart::Form => {
                    for (name, value) in self.form {
                        take(name.as_bytes());
                        take(value.as_bytes());
                    }
                }
            }
        }
    }
}
