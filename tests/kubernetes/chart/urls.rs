//! What trigger URLs begin with, for each way to reach the trigger port.

use super::helm::{object, render, try_render};

const INGRESS: &str = r#"ingress={"enabled":true,"hosts":[{"host":"a.example.com"}]}"#;
const ROUTE: &str =
    r#"httpRoute={"enabled":true,"parentRefs":[{"name":"g"}],"hostnames":["b.example.com"]}"#;

fn flags<'a>(values: &[&'a str]) -> Vec<&'a str> {
    values.iter().flat_map(|value| ["--set-json", value]).collect()
}

fn external_url(values: &[&str]) -> String {
    let set = object(&render(&flags(values)), "StatefulSet");
    let args = set.pointer("/spec/template/spec/containers/0/args").expect("arguments");
    let mut args = args.as_array().expect("a list").iter().filter_map(|arg| arg.as_str());
    args.find_map(|arg| arg.strip_prefix("--external-url=")).expect("a URL").to_owned()
}

#[test]
fn the_external_url_is_the_given_one_or_that_of_the_charts_own_way_in() {
    let tls = |hosts: &str| format!(r#"ingress.tls=[{{"secretName":"s","hosts":{hosts}}}]"#);
    let (exact, wildcard) = (tls(r#"["a.example.com"]"#), tls(r#"["*.example.com"]"#));
    let (every, other) = (tls("[]"), tls(r#"["b.example.com","*.com"]"#));
    let given = r#"externalUrl="https://c.example.com/hooks/""#;
    let certificate = r#"tls.secretName="s""#;
    let cases: [(&[&str], &str); 11] = [
        (&[], "http://webhook-operator.webhook-operator.svc"),
        (&["service.port=8000"], "http://webhook-operator.webhook-operator.svc:8000"),
        (&[certificate], "https://webhook-operator.webhook-operator.svc:80"),
        (&[certificate, "service.port=443"], "https://webhook-operator.webhook-operator.svc"),
        (&[INGRESS], "http://a.example.com"),
        (&[INGRESS, &exact], "https://a.example.com"),
        (&[INGRESS, &wildcard], "https://a.example.com"),
        (&[INGRESS, &every], "https://a.example.com"),
        (&[INGRESS, &other], "http://a.example.com"),
        (&[ROUTE], "https://b.example.com"),
        (&[INGRESS, ROUTE, given], "https://c.example.com/hooks"),
    ];
    for (values, expected) in cases {
        assert_eq!(external_url(values), expected, "{values:?}");
    }
}

#[test]
fn a_way_in_that_names_no_url_needs_one() {
    let path = r#"ingress.hosts=[{"host":"a.example.com","paths":[{"path":"/hooks"}]}]"#;
    let cases = [
        (INGRESS, r#"ingress.hosts=[{"host":"*.example.com"}]"#, "ingress.hosts"),
        (INGRESS, r#"ingress.hosts=[{"host":""}]"#, "ingress.hosts"),
        (INGRESS, path, "/apps/"),
        (ROUTE, "httpRoute.hostnames=[]", "httpRoute.hostnames"),
        (ROUTE, r#"httpRoute.hostnames=["*.example.com"]"#, "httpRoute.hostnames"),
    ];
    for (enabled, value, reason) in cases {
        let said = try_render(&flags(&[enabled, value])).expect_err(value);
        assert!(said.contains("externalUrl: must be set") && said.contains(reason), "{said}");
        let given = r#"externalUrl="https://hooks.example.com""#;
        assert_eq!(external_url(&[enabled, value, given]), "https://hooks.example.com");
    }
}
