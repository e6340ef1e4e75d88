//! The signed text of one request, as pieces: joining them would copy the body.

use super::form::Parameters;
use super::template::TemplatePart;

/// The parts of a template, and their values in one request.
pub(super) struct SignedMessage<'a> {
    pub(super) parts: &'a [TemplatePart],
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    /// The external URL up to the path, in one spelling.
    pub(super) url: [&'a str; 3],
    pub(super) path_and_query: &'a str,
    pub(super) body: &'a [u8],
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
                TemplatePart::Body => take(self.body),
                TemplatePart::Url => {
                    self.url.iter().for_each(|piece| take(piece.as_bytes()));
                    take(self.path_and_query.as_bytes());
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
