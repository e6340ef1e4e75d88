//! A webhook as the app API shows it.

use serde::ser::{Error as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::generation::Generation;
use crate::plan::planner::WebhookView;

/// `{"uuid","action","props","environment_id","user_id"}`, in this order.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Which word is used for the action.
    pub generation: Generation,
    /// `spec.environmentId` of the webhook's app.
    pub environment_id: i64,
    /// The webhook.
    pub webhook: &'a WebhookView,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spec = self.webhook.input.spec.as_ref().map_err(S::Error::custom)?;
        // The text as it is, without building the value again.
        let props: &RawValue =
            serde_json::from_slice(&spec.binding.props).map_err(S::Error::custom)?;
        let mut shown = serializer.serialize_struct("Webhook", 5)?;
        shown.serialize_field("uuid", &self.webhook.uuid)?;
        shown.serialize_field(self.generation.field(), &spec.binding.action)?;
        shown.serialize_field("props", props)?;
        shown.serialize_field("environment_id", &self.environment_id)?;
        shown.serialize_field("user_id", &spec.user_id)?;
        shown.end()
    }
}
