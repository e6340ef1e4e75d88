//! Two webhooks to compare: one that verifies as for GitHub, and one that does not.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use bench_kit::body::json_of;
use hyper::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::measure::Target;
use crate::operator::{self, NAMESPACE, Operator};
use crate::subject::Listener;
use crate::{Programs, github};
use bench_kit::http::{self, Client, Headers};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// The webhooks of the operator, by their index.
const UNVERIFIED: usize = 0;
const VERIFIED: usize = 1;

/// One operator with two webhooks that differ in `verify` alone.
pub struct Pair {
    unverified: String,
    verified: String,
    pids: [u32; 1],
    _operator: Operator,
    _dir: TempDir,
}

impl Pair {
    /// Starts it in front of the listener, and sees who is let in.
    pub async fn start(listener: &Listener, programs: &Programs) -> Result<Self> {
        let dir = operator::standalone_dir(&listener.url(), VERIFIED)?;
        fs::write(dir.path().join("manifests").join("verified.yaml"), verified())?;
        let operator = Operator::standalone(programs, dir.path(), START_DEADLINE).await?;
        see_who_is_let_in(&operator).await?;
        let url = |index| format!("{}{}", operator.trigger, operator::trigger_path(index));
        Ok(Self {
            unverified: url(UNVERIFIED),
            verified: url(VERIFIED),
            pids: [operator.pid()],
            _operator: operator,
            _dir: dir,
        })
    }

    pub fn unverified(&self) -> Target<'_> {
        Target { name: "unverified", url: &self.unverified, pids: &self.pids }
    }

    pub fn verified(&self) -> Target<'_> {
        Target { name: "verified", url: &self.verified, pids: &self.pids }
    }
}

/// A webhook that verifies, and its Secret, as manifests.
fn verified() -> String {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "github", "namespace": NAMESPACE},
        "stringData": {"secret": github::SECRET},
    });
    let entry = json!({"type": "GitHub", "secretRefs": [{"name": "github", "key": "secret"}]});
    let spec = [("verify".to_owned(), json!([entry]))].into_iter().collect();
    format!("{secret}\n---\n{}", operator::webhook_with(VERIFIED, spec))
}

/// The cost of a webhook that verifies nothing, or refuses everything, would say nothing.
async fn see_who_is_let_in(operator: &Operator) -> Result<()> {
    let mut client = Client::new(http::authority(&operator.trigger)?);
    let body = json_of(1024);
    let (signed, bare) = (github::headers(&body), Headers::new());
    for (index, headers, expected) in [
        (UNVERIFIED, &signed, StatusCode::OK),
        (UNVERIFIED, &bare, StatusCode::OK),
        (VERIFIED, &signed, StatusCode::OK),
        (VERIFIED, &bare, StatusCode::UNAUTHORIZED),
        (VERIFIED, &github::headers(b"another body"), StatusCode::UNAUTHORIZED),
    ] {
        let path = operator::trigger_path(index);
        let (status, answer) = client.post_with(&path, headers, body.clone()).await?;
        ensure!(
            status == expected,
            "webhook {index} answers {status} in place of {expected}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    Ok(())
}
