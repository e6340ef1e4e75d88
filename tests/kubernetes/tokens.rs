//! Whom a ServiceAccount token belongs to.

use webhook_operator::source::{Account, TokenReviewer};

use crate::fixture::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_this_audience_belongs_to_its_account_and_others_to_nobody() {
    let site = Site::new();
    let operator = site.operator().await;
    let tokens = operator.kubernetes.tokens();
    site.kubectl(&["create", "serviceaccount", "shop"]);
    let token =
        |arguments: &[&str]| site.kubectl(&[&["create", "token", "shop"], arguments].concat());

    let ours = token(&["--audience=webhook-operator"]);
    let shop = Some(Account { namespace: site.namespace.clone(), name: "shop".into() });
    assert_eq!(tokens.review(&ours, None).await.unwrap(), shop);
    assert_eq!(tokens.review(&ours, None).await.unwrap(), shop, "from memory");

    for other in [token(&[]), token(&["--audience=another"]), "no token".into(), String::new()] {
        assert_eq!(tokens.review(&other, None).await.unwrap(), None, "{other}");
    }
    let without_signature = &ours[..ours.len() - 1];
    assert_eq!(tokens.review(without_signature, None).await.unwrap(), None);
}
