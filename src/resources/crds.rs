//! The CustomResourceDefinitions, as `webhook-operator crds` prints them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::{Webhook, WebhookApp};

/// Both definitions, in the order in which they are printed.
pub fn all() -> [CustomResourceDefinition; 2] {
    [WebhookApp::crd(), Webhook::crd()]
}

/// One definition as YAML.
///
/// # Panics
/// Never: a definition of our own serializes.
pub fn to_yaml(crd: &CustomResourceDefinition) -> String {
    serde_saphyr::to_string(crd).expect("a CustomResourceDefinition serializes")
}
