//! Who calls the delivery API, and what the roles of a cluster let the caller do.

use serde_json::{Value, json};
use webhook_operator::source::kubernetes::Access;
use webhook_operator::source::{AccessReviewer, Right, User, Verb};

use crate::fixture::{Site, new_namespace};

const ALL: [Verb; 3] = [Verb::List, Verb::Get, Verb::Create];

fn right(verb: Verb, namespace: Option<&str>, webhook: Option<&str>) -> Right {
    Right { verb, namespace: namespace.map(Into::into), webhook: webhook.map(Into::into) }
}

/// Gives a ServiceAccount rights on deliveries in the site's namespace.
fn grant(site: &Site, account: &str, verbs: &[&str], names: &[&str]) {
    let subject = json!({"kind": "ServiceAccount", "name": account, "namespace": site.namespace});
    let rule = json!({
        "apiGroups": ["lenra.io"], "resources": ["webhooks/deliveries"],
        "verbs": verbs, "resourceNames": names,
    });
    let object = |kind: &str, rest: Value| {
        let mut object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": account},
        });
        let fields = rest.as_object().expect("an object").clone();
        object.as_object_mut().expect("an object").extend(fields);
        object
    };
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account});
    site.apply(&object("Role", json!({"rules": [rule]})));
    site.apply(&object("RoleBinding", json!({"roleRef": role, "subjects": [subject]})));
}

async fn allowed(access: &Access, user: &User, namespace: Option<&str>) -> Vec<Verb> {
    let mut allowed = Vec::new();
    for verb in ALL {
        if access.allows(user, &right(verb, namespace, None), None).await.expect("an answer") {
            allowed.push(verb);
        }
    }
    allowed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_rights_in_one_namespace_has_none_in_another_nor_in_all() {
    let site = Site::new();
    let operator = site.operator().await;
    let access = operator.kubernetes.access();
    let other = new_namespace(&site.cluster);
    site.kubectl(&["create", "serviceaccount", "jane"]);
    grant(&site, "jane", &["list", "get", "create"], &[]);
    // As people have it, and as a program asks for it.
    for arguments in [
        &["create", "token", "jane"][..],
        &["create", "token", "jane", "--audience=webhook-operator"],
    ] {
        let jane = access.user(&site.kubectl(arguments), None).await.unwrap().expect("a user");
        assert_eq!(jane.name, format!("system:serviceaccount:{}:jane", site.namespace));
        assert_eq!(allowed(&access, &jane, Some(&site.namespace)).await, ALL);
        assert_eq!(allowed(&access, &jane, Some(&other)).await, []);
        assert_eq!(allowed(&access, &jane, None).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_may_name_verbs_and_webhooks() {
    let site = Site::new();
    let operator = site.operator().await;
    let access = operator.kubernetes.access();
    site.kubectl(&["create", "serviceaccount", "reader"]);
    grant(&site, "reader", &["get"], &["payments"]);
    let token = site.kubectl(&["create", "token", "reader"]);
    let reader = access.user(&token, None).await.unwrap().expect("a user");
    let namespace = Some(&*site.namespace);
    for (verb, webhook, expected) in [
        (Verb::Get, Some("payments"), true),
        (Verb::Get, Some("refunds"), false),
        (Verb::Get, None, false),
        (Verb::Create, Some("payments"), false),
    ] {
        let right = right(verb, namespace, webhook);
        assert_eq!(access.allows(&reader, &right, None).await.unwrap(), expected, "{right:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_count_and_a_token_that_is_nobodys_has_no_user() {
    let site = Site::new();
    let operator = site.operator().await;
    let access = operator.kubernetes.access();
    site.kubectl(&["create", "serviceaccount", "jane"]);
    for nobody in [
        "no token".to_owned(),
        String::new(),
        site.kubectl(&["create", "token", "jane", "--audience=another"]),
    ] {
        assert_eq!(access.user(&nobody, None).await.unwrap(), None, "{nobody}");
    }
    let groups = vec!["system:masters".to_owned()];
    let admin = User { name: "somebody".into(), groups, ..User::default() };
    assert_eq!(allowed(&access, &admin, None).await, ALL);
}
