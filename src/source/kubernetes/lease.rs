//! The lease: at most one replica holds it, and knows by its own clock when it does not any more.
//!
//! The rules are those of client-go's leader election, on which the API server's own components
//! rely. Each write names the resourceVersion that it saw, so that of two replicas one is refused;
//! whether another's lease has run out is judged by how long it was seen unchanged, never by
//! comparing clocks of two machines.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::backoff::Outage;
use super::call::{CallError, call};
use super::identity::labels;
use crate::resources::FIELD_MANAGER;

/// How long others leave a lease alone that is not renewed, in seconds.
pub const DURATION_SECONDS: i32 = 15;

/// How much earlier its holder stops by itself.
const GRACE: Duration = Duration::from_secs(5);

/// How long its holder goes on without a renewal.
const VALID: Duration = Duration::from_secs(DURATION_SECONDS as u64).saturating_sub(GRACE);

/// The time between two looks, of the holder and of those who wait.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long giving the lease back may hold up the end of the process.
const RELEASE_DEADLINE: Duration = Duration::from_secs(2);

/// One replica's part in the competition for a lease.
pub struct Lease {
    api: Api<Object>,
    name: &'static str,
    identity: String,
    /// Another's lease, and since when it was seen like this.
    seen: Option<(LeaseSpec, Instant)>,
    /// Until when the lease is held.
    until: Instant,
    outage: Outage,
}

/// What a try to get or keep the lease led to.
#[derive(PartialEq)]
enum Standing {
    /// It is held.
    Held,
    /// Another replica holds it.
    Taken,
    /// It changed at the same moment: look again.
    Contended,
}

impl Lease {
    /// A lease of this name that is not held yet.
    pub fn new(client: Client, namespace: &str, name: &'static str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name,
            identity,
            seen: None,
            until: Instant::now(),
            outage: Outage::default(),
        }
    }

    /// Waits until the lease is held.
    pub async fn acquire(&mut self) {
        while self.look().await != Some(Standing::Held) {
            sleep(INTERVAL).await;
        }
    }

    /// Renews the lease; returns when it is lost, before another replica may take it.
    pub async fn keep(&mut self) {
        loop {
            sleep_until(self.until.min(Instant::now() + INTERVAL)).await;
            match timeout_at(self.until, self.look()).await {
                Err(_) | Ok(Some(Standing::Taken)) => return,
                Ok(Some(Standing::Held | Standing::Contended) | None) => {}
            }
        }
    }

    /// Gives the lease back where it is held, so that the next replica has it at its next look.
    pub async fn release(&self) {
        match timeout(RELEASE_DEADLINE, self.give_back()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not released"),
            Err(_) => tracing::warn!("the lease was not released in time"),
        }
    }

    /// One try; `None` when the API server failed.
    async fn look(&mut self) -> Option<Standing> {
        match self.attempt().await {
            Ok(standing) => {
                self.outage.over();
                Some(standing)
            }
            Err(error) => {
                match self.outage.failed(Instant::now()) {
                    1 => tracing::warn!(%error, "the lease cannot be read or renewed"),
                    _ => tracing::debug!(%error, "the lease still cannot be read or renewed"),
                }
                None
            }
        }
    }

    async fn attempt(&mut self) -> Result<Standing, CallError> {
        // Counted from before the request: the others count from when they see its effect.
        let asked = Instant::now();
        let written = match call(self.api.get_opt(self.name)).await? {
            None => call(self.api.create(&params(), &self.claim(self.fresh()))).await,
            Some(found) if self.may_claim(&found) => {
                call(self.api.replace(self.name, &params(), &self.claim(found))).await
            }
            Some(_) => return Ok(Standing::Taken),
        };
        match written {
            Ok(_) => {
                self.until = asked + VALID;
                Ok(Standing::Held)
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(Standing::Contended),
            Err(error) => Err(error),
        }
    }

    /// Whether a lease is ours, nobody's, or was left unchanged for as long as it was given.
    fn may_claim(&mut self, found: &Object) -> bool {
        let spec = found.spec.clone().unwrap_or_default();
        match spec.holder_identity.as_deref() {
            None | Some("") => true,
            Some(holder) if holder == self.identity => true,
            Some(_) => self.has_run_out(spec),
        }
    }

    fn has_run_out(&mut self, spec: LeaseSpec) -> bool {
        let seconds = spec.lease_duration_seconds.unwrap_or(DURATION_SECONDS);
        let given = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        match &self.seen {
            Some((seen, since)) if *seen == spec => since.elapsed() >= given,
            _ => {
                self.seen = Some((spec, Instant::now()));
                false
            }
        }
    }

    fn fresh(&self) -> Object {
        let mut lease = Object::default();
        lease.metadata.name = Some(self.name.into());
        lease.metadata.labels = Some(labels());
        lease
    }

    /// The lease as it is, held by this replica from now.
    fn claim(&self, mut lease: Object) -> Object {
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&*self.identity) {
            spec.holder_identity = Some(self.identity.clone());
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count + 1));
        }
        spec.lease_duration_seconds = Some(DURATION_SECONDS);
        spec.renew_time = Some(now);
        lease
    }

    async fn give_back(&self) -> Result<(), CallError> {
        let Some(mut lease) = call(self.api.get_opt(self.name)).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&*self.identity) {
            return Ok(());
        }
        spec.holder_identity = None;
        spec.acquire_time = None;
        spec.renew_time = None;
        call(self.api.replace(self.name, &params(), &lease)).await.map(drop)
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() }
}
