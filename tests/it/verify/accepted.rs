//! What must be accepted.

use std::collections::BTreeSet;

use webhook_operator::verify::PROVIDERS;

use super::vectors::Vector;

#[test]
fn every_vector_is_accepted() {
    for vector in Vector::all() {
        let verifier = vector.verifier();
        let request = vector.request();
        let verified =
            request.check(&verifier).unwrap_or_else(|why| panic!("{why}: {}", vector.name()));
        assert!(verified.provider().eq_ignore_ascii_case(&vector.provider));
    }
}

#[test]
fn every_live_secret_is_accepted_wherever_it_stands_in_the_list() {
    for vector in Vector::small() {
        let (secret, decoy) = (&*vector.secret, &*vector.decoy());
        for texts in [&[decoy, secret][..], &[secret, decoy], &[decoy, decoy, secret]] {
            let verifier = vector.verifier_of(texts);
            assert_eq!(vector.request().denied(&verifier), None, "{}", vector.name());
        }
        let others = vector.verifier_of(&[decoy]);
        assert!(vector.request().denied(&others).is_some(), "{}", vector.name());
    }
}

#[test]
fn every_row_that_signs_has_vectors() {
    let with_vectors: BTreeSet<_> =
        Vector::all().iter().map(|vector| vector.provider.to_lowercase()).collect();
    let rows = PROVIDERS.iter().map(|row| row.name.to_lowercase());
    let without: Vec<_> = rows.filter(|name| !with_vectors.contains(name)).collect();
    // Those two show a secret and sign nothing: `tokens.rs`.
    assert_eq!(without, ["bearer", "basic"]);
}

#[test]
fn every_row_stands_in_the_documentation_with_the_headers_that_it_passes_on() {
    let page = include_str!("../../../docs/providers.md").to_lowercase();
    for row in PROVIDERS {
        assert!(page.contains(&format!("type: {}", row.name.to_lowercase())), "{}", row.name);
        // Forgejo's and Gogs' headers are those of Gitea under another name.
        let renamed = |name: &&&str| name.starts_with("x-forgejo") || name.starts_with("x-gogs");
        for name in row.event_headers.iter().filter(|name| !renamed(name)) {
            assert!(page.contains(name), "{}: {name}", row.name);
        }
    }
}
