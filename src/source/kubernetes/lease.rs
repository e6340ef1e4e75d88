//! The lease. At most one replica holds it, and each knows by its own clock when it no longer does.
//!
//! The rules are those of client-go's leader election, on which the API server's own components
//! rely. Each write contains the resourceVersion that was read, so of two concurrent writes one is
//! rejected. Another replica's lease has expired if it was observed unchanged for its duration.
//! Clocks of two machines are never compared.
//!
//! Why not the crate kube-lease-manager: with it, a released lease is acquired only after its
//! duration, a holder that loses the API server is not notified, and a replica that still sees an
//! expired lease can overwrite a newer one.

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

/// How long an unrenewed lease is valid for other replicas, in seconds.
pub const DURATION_SECONDS: i32 = 15;

/// How much earlier the holder stops.
const GRACE: Duration = Duration::from_secs(5);

/// How long the holder continues without a renewal.
const VALID: Duration = Duration::from_secs(DURATION_SECONDS as u64).saturating_sub(GRACE);

/// Time between two attempts, both of the holder and of the other replicas.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long releasing the lease may delay the exit of the process.
const RELEASE_DEADLINE: Duration = Duration::from_secs(2);

/// One replica's side of the election.
pub struct Lease {
    api: Api<Object>,
    name: &'static str,
    identity: String,
    /// The lease of another replica, and since when it has been unchanged.
    seen: Option<(LeaseSpec, Instant)>,
    /// When the lease of this replica expires, from the holder's point of view.
    until: Instant,
    outage: Outage,
}

/// The result of an attempt to acquire or renew the lease.
#[derive(PartialEq)]
enum Standing {
    /// This replica holds it.
    Held,
    /// Another replica holds it.
    Taken,
    /// Another replica changed it concurrently: retry.
    Contended,
}

impl Lease {
    /// A lease of this name, not held yet.
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

    /// Waits until this replica holds the lease.
    pub async fn acquire(&mut self) {
        while self.look().await != Some(Standing::Held) {
            sleep(INTERVAL).await;
        }
    }

    /// Renews the lease. Returns when it is lost, before another replica may acquire it.
    pub async fn keep(&mut self) {
        loop {
            sleep_until(self.until.min(Instant::now() + INTERVAL)).await;
            match timeout_at(self.until, self.look()).await {
                Err(_) | Ok(Some(Standing::Taken)) => return,
                Ok(Some(Standing::Held | Standing::Contended) | None) => {}
            }
        }
    }

    /// Releases the lease if this replica holds it, so that another acquires it at its next
    /// attempt.
    pub async fn release(&self) {
        match timeout(RELEASE_DEADLINE, self.give_back()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not released"),
            Err(_) => tracing::warn!("the lease was not released in time"),
        }
    }

    /// One attempt; `None` if the API server failed.
    async fn look(&mut self) -> Option<Standing> {
        match self.attempt().await {
            Ok(standing) => {
                self.outage.over();
                Some(standing)
            }
            Err(error) => {
                match self.outage.failed(Instant::now()) {
                    1 => tracing::warn!(%error, "cannot read or renew the lease"),
                    _ => tracing::debug!(%error, "still cannot read or renew the lease"),
                }
                None
            }
        }
    }

    async fn attempt(&mut self) -> Result<Standing, CallError> {
        // Measured before the request: other replicas measure from when they observe the write.
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

    /// Whether the lease is ours, has no holder, or has expired.
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

    /// The lease, held by this replica from now on.
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
