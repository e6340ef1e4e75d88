//! The signed text of one request, as pieces: joining them would copy the body.

use super::form::Parameters;
use super::template::Part;

/// The parts of a template, and their values in one request.
pub(super) struct Message<'a> {
    pub(super) parts: &'a [Part],
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    /// The external URL up to the path, in one spelling.
    pub(super) url: [&'a str; 3],
    pub(super) path_and_query: &'a str,
    pub(super) body: &'a [u8],
    pub(super) form: &'a Parameters<'a>,
}

impl Message<'_> {
    /// Passes the pieces to `take`, in order.
    pub(super) fn pieces(&self, take: &mut dyn FnMut(&[u8])) {
        for part in self.parts {
            match part {
                Part::Literal(text) => take(text.as_bytes()),
                Part::Id => take(self.id.as_bytes()),
                Part::Timestamp => take(self.timestamp.as_bytes()),
                Part::Body => take(self.body),
                Part::Url => {
                    self.url.iter().for_each(|piece| take(piece.as_bytes()));
                    take(self.path_and_query.as_bytes());
                }
                Part::Form => {
                    for (name, value) in self.form {
                        take(name.as_bytes());
                        take(value.as_bytes());
                    }
                }
            }
        }
    }
}
