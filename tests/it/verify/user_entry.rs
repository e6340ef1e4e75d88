//! Entries as users write them: validated as on admission, and compiled as for a webhook.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use webhook_operator::plan::secrets::{SecretInput, Secrets};
use webhook_operator::plan::{self, Reach};
use webhook_operator::resources::validate::Validator;
use webhook_operator::verify::Verifier;
use webhook_operator::verify::jwt::KeySets;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(Validator::webhook);

/// The verifier of an entry with these secrets.
pub fn verifier(entry: &Value, secrets: &[&str]) -> Verifier {
    try_verifier(entry, secrets).unwrap_or_else(|why| panic!("{entry}: {why}"))
}

/// As [`verifier`]; the error is that of the admission, or the message of the condition.
pub fn try_verifier(entry: &Value, secrets: &[&str]) -> Result<Verifier, String> {
    let mut entry = entry.clone();
    let keys = 0..secrets.len();
    entry["secretRefs"] =
        keys.map(|key| json!({"name": "sender", "key": key.to_string()})).collect();
    let mut webhook = json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook", "metadata": {"name": "a"},
        "spec": {"app": "shop", "action": "pay", "verify": [entry]},
    });
    VALIDATOR.admit(&mut webhook, None).map_err(|why| why.to_string())?;
    compile(&webhook["spec"]["verify"][0], secrets)
}

/// Compiles an entry that was not validated, as of a CRD of another version.
pub fn compile(entry: &Value, secrets: &[&str]) -> Result<Verifier, String> {
    let entry = serde_json::from_value(entry.clone()).map_err(|why| why.to_string())?;
    let namespace: Arc<str> = "team-a".into();
    let made =
        plan::verify::verifier(&namespace, &[entry], 0, &known(secrets), &KeySets::default());
    made.map_err(|verdict| verdict.message().to_owned())
}

fn known(secrets: &[&str]) -> Secrets {
    let texts = secrets.iter().enumerate().map(|(key, text)| (key.to_string(), json!(text)));
    let object = json!({
        "metadata": {"name": "sender", "namespace": "team-a"},
        "stringData": Value::Object(texts.collect()),
    });
    let mut known = Secrets::new(Reach::Address);
    known.put(SecretInput::of(serde_json::from_value(object).unwrap()));
    known
}

/// The entries of senders without a type of their own, as the documentation has them.
pub static DOCUMENTED: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let page = include_str!("../../../docs/providers.md");
    let (_, table) = page.split_once("| sender | `hmac` | besides |\n|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let entry = |row: &str| {
        let mut pieces = row.split('`');
        let (name, hmac) = (pieces.next().unwrap(), pieces.next().unwrap().replace("\\|", "|"));
        let hmac: Value = serde_saphyr::from_str(&hmac).unwrap();
        let name = name.trim_matches([' ', '|', '*', '\\']);
        (name.to_owned(), json!({"type": "Hmac", "hmac": hmac}))
    };
    rows.map(entry).collect()
});

/// The entry of such a sender.
pub fn documented(sender: &str) -> Value {
    DOCUMENTED.get(sender).unwrap_or_else(|| panic!("{sender}")).clone()
}
