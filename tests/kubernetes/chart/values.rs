//! Values: which are refused and with what words, and that each is documented.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::helm::{chart, object, objects, project, render, try_render, try_render_release};

/// A value, and what the refusal names.
const WRONG: [(&str, &str); 49] = [
    ("replicas=2", "'replicas' not allowed"),
    (r#"replicaCount="two""#, "/replicaCount"),
    ("replicaCount=-1", "/replicaCount"),
    ("image.tag=1.5", "/image/tag"),
    (r#"image.repository="""#, "/image/repository"),
    (r#"image.digest="sha256:abc""#, "/image/digest"),
    (r#"image.pullPolicy="Sometimes""#, "/image/pullPolicy"),
    (r#"imagePullSecrets=["registry"]"#, "/imagePullSecrets/0"),
    (r#"externalUrl="hooks.example.com""#, "/externalUrl"),
    (r#"externalUrl="https://hooks.example.com/?a""#, "/externalUrl"),
    (r#"watchNamespaces="team-a""#, "/watchNamespaces"),
    (r#"watchNamespaces=["Team_A"]"#, "/watchNamespaces/0"),
    (r#"watchNamespaces=["team-a","team-a"]"#, "/watchNamespaces"),
    (r#"logLevel="""#, "/logLevel"),
    (r#"drainTimeout="30""#, "/drainTimeout"),
    ("drainTimeout=30", "/drainTimeout"),
    ("shutdownDelay=10", "/shutdownDelay"),
    ("terminationGracePeriodSeconds=44", "terminationGracePeriodSeconds: 44 is too short"),
    (r#"extraArgs=["listener-allow-url"]"#, "/extraArgs/0"),
    (r#"extraEnv={"A":"b"}"#, "/extraEnv"),
    (r#"crds.install="yes""#, "/crds/install"),
    (r#"listeners.allowManualEndpoints="yes""#, "/listeners/allowManualEndpoints"),
    (r#"egressDenyCidrs=["10.244.0.0"]"#, "/egressDenyCidrs/0"),
    (r#"admissionPolicy.enabled="yes""#, "/admissionPolicy/enabled"),
    ("rbac.enabled=true", "'enabled' not allowed"),
    (r#"rbac.secrets.all="some""#, "/rbac/secrets/all"),
    (r#"rbac.secrets.named={"team-a":[]}"#, "/rbac/secrets/named/team-a"),
    (r#"queue.retention="a week""#, "/queue/retention"),
    (r#"queue.maxBytes="8GB""#, "/queue/maxBytes"),
    ("queue.maxBytes=8", "/queue/maxBytes"),
    ("persistence.size=8", "/persistence/size"),
    ("persistence.accessModes=[]", "/persistence/accessModes"),
    (r#"service.type="ExternalName""#, "/service/type"),
    ("service.port=70000", "/service/port"),
    ("ingress.enabled=true", "/ingress/hosts"),
    (r#"ingress.hosts=["hooks.example.com"]"#, "/ingress/hosts/0"),
    (r#"ingress.hosts=[{"host":"a","paths":[{"path":"apps"}]}]"#, "/ingress/hosts/0/paths/0/path"),
    ("httpRoute.enabled=true", "/httpRoute/parentRefs"),
    (r#"podDisruptionBudget.maxUnavailable="one""#, "/podDisruptionBudget/maxUnavailable"),
    ("metrics.enabled=true", "'enabled' not allowed"),
    (r#"metrics.serviceMonitor.interval="often""#, "/metrics/serviceMonitor/interval"),
    (r#"prometheusRule.runbookUrl="docs/runbook.md#a""#, "/prometheusRule/runbookUrl"),
    (r#"prometheusRule.job="a \"b\"""#, "/prometheusRule/job"),
    ("prometheusRule.thresholds.storeUsedRatio=95", "/prometheusRule/thresholds/storeUsedRatio"),
    ("prometheusRule.thresholds.backlogAge=60", "'backlogAge' not allowed"),
    ("podAnnotations.a=1", "/podAnnotations/a"),
    ("tolerations={}", "/tolerations"),
    (r#"topologySpreadConstraints=[{"maxSkew":1}]"#, "/topologySpreadConstraints/0"),
    (r#"fullnameOverride="Hooks""#, "/fullnameOverride"),
];

#[test]
fn a_wrong_value_is_refused_by_its_name() {
    for (value, named) in WRONG {
        let said = try_render(&["--set-json", value]).expect_err(value);
        assert!(said.contains(named), "{value}: {said}");
    }
}

#[test]
fn every_example_of_values_in_the_docs_renders() {
    let docs = fs::read_to_string(project("docs/install.md")).expect("the docs");
    let blocks = docs.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    // One block is of a user's pod.
    let examples: Vec<_> = blocks.filter(|block| !block.starts_with("volumes:")).collect();
    assert!(!examples.is_empty());
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    for example in examples {
        fs::write(file.path(), example).expect("write the values");
        render(&["--values", file.path().to_str().expect("UTF-8")]);
    }
}

/// Each field of the schema, as a path; definitions that are used are gone into.
fn fields(schema: &Value, definitions: &Value, path: &str, found: &mut Vec<String>) {
    let named = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    let schema = named.map_or(schema, |name| &definitions[name]);
    let Some(properties) = schema["properties"].as_object() else {
        found.push(path.into());
        return;
    };
    for (name, field) in properties {
        fields(field, definitions, &format!("{path}/{name}"), found);
    }
}

#[test]
fn every_value_that_the_schema_knows_has_a_default_and_a_description() {
    let read = |name: &str| fs::read_to_string(chart().join(name)).expect("a file of the chart");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).expect("YAML");
    let readme = read("README.md");
    let mut known = Vec::new();
    fields(&schema, &schema["definitions"], "", &mut known);
    // Helm's own, which it hands to each chart.
    known.retain(|path| path != "/global");
    assert!(known.iter().any(|path| path == "/networkPolicy/admin/from"), "{known:?}");
    for path in known {
        // A value whose fields Kubernetes defines is described as a whole.
        let row = |path: &Path| path.to_str().unwrap_or_default()[1..].replace('/', ".");
        let described = Path::new(&path)
            .ancestors()
            .filter(|path| path.parent().is_some())
            .find(|path| readme.contains(&format!("\n| {} | ", row(path))));
        let described =
            described.and_then(Path::to_str).unwrap_or_else(|| panic!("{path}: no row"));
        assert!(values.pointer(described).is_some(), "{described} has no default");
    }
    assert!(!readme.contains("|  |\n"), "a value without a description");
}

#[test]
fn a_stopping_pod_has_the_time_of_its_delay_and_its_drain() {
    let cases = [
        (&[][..], 45),
        (&["--set", "drainTimeout=5m"], 315),
        (&["--set", "shutdownDelay=0s"], 35),
        (&["--set", "terminationGracePeriodSeconds=60"], 60),
    ];
    for (flags, seconds) in cases {
        let pod = object(&render(flags), "StatefulSet")["spec"]["template"]["spec"].take();
        assert_eq!(pod["terminationGracePeriodSeconds"], seconds, "{flags:?}");
    }
}

#[test]
fn names_follow_the_release_and_fit_where_kubernetes_adds_to_them() {
    let name = |release: &str, flags: &[&str]| {
        let rendered = try_render_release(release, flags).expect("a rendering");
        let set = object(&rendered, "StatefulSet");
        set["metadata"]["name"].as_str().expect("a name").to_owned()
    };
    assert_eq!(name("webhook-operator", &[]), "webhook-operator");
    assert_eq!(name("eu-webhook-operator", &[]), "eu-webhook-operator");
    assert_eq!(name("hooks", &[]), "hooks-webhook-operator");
    assert_eq!(name("hooks", &["--set", "fullnameOverride=in"]), "in");
    let long = "a-release-of-a-name-as-long-as-helm-allows-them-to-be";
    assert!(long.len() == 53 && name(long, &[]).len() <= 52);
}

/// The places where a rendering lets the operator read Secrets, each with the names or `*`.
fn readable_secrets(flags: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for role in objects(&render(flags)) {
        for rule in role["rules"].as_array().into_iter().flatten() {
            let has = |field: &str, value| {
                rule[field].as_array().is_some_and(|of| of.iter().any(|one| one == value))
            };
            if has("resources", "secrets") && has("verbs", "list") {
                let place = role["metadata"]["namespace"].as_str().unwrap_or("the whole cluster");
                let names = rule.get("resourceNames").map_or("*".into(), Value::to_string);
                found.push(format!("{place}: {names}"));
            }
        }
    }
    found
}

#[test]
fn the_right_to_all_secrets_of_the_cluster_is_there_only_while_nothing_narrows_it() {
    let watched = ["--set", "watchNamespaces={team-a}"];
    let named = ["--set", "rbac.secrets.named.team-a={gh}"];
    let (all, none) = (["--set", "rbac.secrets.all=true"], ["--set", "rbac.secrets.all=false"]);
    let cases: [(Vec<&str>, &[&str]); 7] = [
        (vec![], &["the whole cluster: *"]),
        (watched.to_vec(), &["team-a: *"]),
        (named.to_vec(), &[r#"team-a: ["gh"]"#]),
        ([watched, named].concat(), &[r#"team-a: ["gh"]"#]),
        (none.to_vec(), &[]),
        ([none, named].concat(), &[r#"team-a: ["gh"]"#]),
        ([all, named].concat(), &["the whole cluster: *", r#"team-a: ["gh"]"#]),
    ];
    for (flags, expected) in cases {
        assert_eq!(readable_secrets(&flags), expected, "{flags:?}");
    }
    let elsewhere = [&watched[..], &["--set", "rbac.secrets.named.team-b={gh}"]].concat();
    let said = try_render(&elsewhere).expect_err("a namespace that is not served");
    assert!(said.contains("rbac.secrets.named: namespace team-b"), "{said}");
}
