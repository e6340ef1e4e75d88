//! The representation of a webhook in the app API.

use serde::ser::{Error as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::generation::Generation;
use crate::plan::planner::WebhookView;

/// `{"uuid","action","props","environment_id","user_id"}`, in this order.
#[derive(Clone, Copy, Debug)]
pub struct WebhookJson<'a> {
    /// Determines the name of the action field.
    pub generation: Generation,
    /// `spec.environmentId` of the webhook's app.
    pub environment_id: i64,
    /// The webhook.
    pub webhook: &'a WebhookView,
}

impl Serialize for WebhookJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spec = self.webhook.input.spec.as_ref().map_err(S::Error::custom)?;
        // Copies the JSON text without parsing it into a value.
        let props: &RawValue =
            serde_json::from_slice(&spec.binding.props).map_err(S::Error::custom)?;
        let mut object = serializer.serialize_struct("Webhook", 5)?;
        object.serialize_field("uuid", &self.webhook.uuid)?;
        object.serialize_field(self.generation.field(), &spec.binding.action)?;
        object.serialize_field("props", props)?;
        object.serialize_field("environment_id", &self.environment_id)?;
        object.serialize_field("user_id", &spec.user_id)?;
        object.end()
    }
}
