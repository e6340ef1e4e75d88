//! The description of the API is what the API does.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::HeaderMap;
use jsonschema::Validator;
use serde_json::{Value, json};
use strum::VariantArray as _;
use webhook_operator::admin::deliveries::OPENAPI;
use webhook_operator::admin::deliveries::view::{StateView, TalliesView, WebhookTally};
use webhook_operator::admin::overview::view::LastHour;
use webhook_operator::moment::Moment;
use webhook_operator::resources::DeliveryCounts;
use webhook_operator::routes::counts::{MINUTES, Rates};
use webhook_operator::store::{DeadReason, DeliveryState};

use super::world::{Answer, World};

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("JSON")
}

/// The schema of a name, with the others in reach of its references.
fn schema(name: &str) -> Validator {
    let mut root = document();
    root["$ref"] = json!(format!("#/components/schemas/{name}"));
    jsonschema::draft202012::new(&root).expect("a schema")
}

/// Whether an answer is as described, with every field that there is.
#[track_caller]
fn is(name: &str, answer: &Answer) {
    let (value, schema) = (answer.value(), schema(name));
    let errors: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?} in {value:#}");
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let world = World::standalone();
    for state in DeliveryState::VARIANTS {
        let id = world.shelf.add("team-a/pay", *state);
        is("FullDelivery", &world.get(&format!("/api/deliveries/{id}")).await);
    }
    let binary = world.shelf.add_with("team-a/pay", DeliveryState::Dead, |detail| {
        detail.body = Bytes::from_static(&[0xff]);
        detail.body_bytes = 2;
    });
    is("FullDelivery", &world.get(&format!("/api/deliveries/{binary}")).await);
    is("List", &world.get("/api/deliveries").await);
    is("List", &world.get("/api/deliveries?limit=1").await);
    is("Error", &world.get("/api/deliveries?limit=0").await);
    is("Begun", &world.post(&format!("/api/deliveries/{binary}/replay"), "").await);
    is("Tallies", &world.get("/api/tallies").await);
    is("Tallies", &tallies());
    is("Replayed", &world.post("/api/deliveries/replay", "{}").await);
    world.add_app("team-a/shop", 1, "http://192.0.2.1/");
    world.add_webhook("team-a/pay", "shop", json!({}));
    world.add_webhook("team-a/lost", "nowhere", json!({}));
    for list in ["Apps", "Webhooks"] {
        is(list, &world.get(&format!("/api/{}", list.to_lowercase())).await);
    }
}

/// As an operator with webhooks answers.
fn tallies() -> Answer {
    let tally = |deliveries, last_delivery| WebhookTally {
        namespace: "team-a".into(),
        app: "shop".into(),
        webhook: "pay".into(),
        deliveries,
        last_delivery,
        last_hour: Some(LastHour::of(&[Rates::default(); MINUTES])),
    };
    let items = vec![
        tally(Some(DeliveryCounts { succeeded: 3, dead: 2, pending: 1 }), Some(Moment(1))),
        tally(None, None),
    ];
    let body = serde_json::to_string(&TalliesView { items }).expect("JSON");
    Answer { status: 200, headers: HeaderMap::new(), body }
}

#[test]
fn every_schema_refuses_fields_that_it_does_not_name() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert_eq!(schema["additionalProperties"], false, "{name}");
    }
}

/// The parameters that are described are those that are taken, and no others.
#[tokio::test]
async fn every_parameter_and_field_that_is_described_is_taken() {
    let (world, document) = (World::standalone(), document());
    for path in ["/api/apps", "/api/webhooks", "/api/deliveries"] {
        for parameter in document["paths"][path]["get"]["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            world.get(&format!("{path}?{name}=")).await.ok();
        }
    }
    let parameters = document["paths"]["/api/deliveries"]["get"]["parameters"].as_array().unwrap();
    let fields = document["components"]["schemas"]["Filter"]["properties"].as_object().unwrap();
    for field in fields.keys() {
        world.post("/api/deliveries/replay", &json!({field: null}).to_string()).await.ok();
    }
    let names: BTreeSet<_> = parameters.iter().filter_map(|p| p["name"].as_str()).collect();
    let all = ["cursor", "limit", "namespace", "since", "state", "until", "webhook"];
    assert_eq!(names, BTreeSet::from(all));
    assert!(fields.keys().all(|field| names.contains(&**field)));
}

#[test]
fn the_described_states_are_those_of_the_api() {
    let (document, states) = (document(), StateView::VARIANTS);
    let words: Vec<_> = states.iter().map(|state| json!(state.as_str())).collect();
    let (paths, schemas) = (&document["paths"], &document["components"]["schemas"]);
    let parameters = paths["/api/deliveries"]["get"]["parameters"].as_array().unwrap();
    let state = parameters.iter().find(|parameter| parameter["name"] == "state").unwrap();
    assert_eq!(state["schema"]["enum"], json!(words));
    for schema in ["Delivery", "FullDelivery"] {
        assert_eq!(schemas[schema]["properties"]["state"]["enum"], json!(words), "{schema}");
    }
}

#[test]
fn the_described_reasons_are_those_of_dead_deliveries() {
    let schemas = &document()["components"]["schemas"];
    let names = DeadReason::VARIANTS.iter().map(|reason| json!(reason.as_str()));
    let names: Vec<_> = names.chain([Value::Null]).collect();
    for schema in ["Delivery", "FullDelivery"] {
        assert_eq!(schemas[schema]["properties"]["reason"]["enum"], json!(names), "{schema}");
    }
}

#[test]
fn the_page_has_words_for_each_reason() {
    let script = include_str!("../../../src/admin/page/static/words.js");
    let (_, reasons) = script.split_once("const REASONS = {").unwrap();
    let (reasons, _) = reasons.split_once('}').unwrap();
    let known = reasons.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    let names = DeadReason::VARIANTS.iter().map(|reason| reason.as_str());
    assert_eq!(known.collect::<BTreeSet<_>>(), names.collect());
}

#[test]
fn the_docs_of_the_cli_list_the_states() {
    let docs = include_str!("../../../docs/deliveries.md");
    let words: Vec<_> = StateView::VARIANTS.iter().map(|state| state.as_str()).collect();
    let [pending, succeeded, dead] = words[..] else { panic!("{words:?}") };
    assert!(docs.contains(&format!("`--state {pending}`, `{succeeded}` or `{dead}`")));
    assert!(docs.contains(&format!("`state` is `{dead}` or `{succeeded}`, default `{dead}`")));
}

#[tokio::test]
async fn every_route_is_described_and_every_described_route_is_there() {
    let (world, document) = (World::standalone(), document());
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
        let methods: BTreeSet<_> = methods.map(|method| method.to_uppercase()).collect();
        // What the router itself says that it takes.
        let answer = world.call("DELETE", &path.replace("{id}", "x"), &[], "").await;
        answer.fails(405, "method_not_allowed");
        let allow = answer.headers["allow"].to_str().unwrap();
        let allowed = allow.split(',').filter(|method| *method != "HEAD").map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
        described.insert(path.clone());
    }
    let routes = |source: &'static str, under: &'static str| {
        let paths = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        paths.map(move |path| format!("{under}{path}"))
    };
    let routes = routes(include_str!("../../../src/admin/deliveries/mod.rs"), "/api")
        .chain(routes(include_str!("../../../src/admin/overview/mod.rs"), ""));
    assert_eq!(routes.collect::<BTreeSet<_>>(), described);
    let served = world.get("/api/openapi.json").await;
    assert_eq!(served.ok(), document);
}
