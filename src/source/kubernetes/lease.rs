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

use k8s_openapi::api::coordination::v1::{Lease as LeaseResource, LeaseSpec};
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
const SAFETY_MARGIN: Duration = Duration::from_secs(5);

/// How long the holder continues without a renewal.
const RENEW_DEADLINE: Duration =
    Duration::from_secs(DURATION_SECONDS as u64).saturating_sub(SAFETY_MARGIN);

/// Time between two attempts, both of the holder and of the other replicas.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// How long releasing the lease may delay the exit of the process.
const RELEASE_DEADLINE: Duration = Duration::from_secs(2);

/// One replica's side of the election.
pub struct LeaderLease {
    api: Api<LeaseResource>,
    name: &'static str,
    identity: String,
    /// The lease of another replica, and since when it has been unchanged.
    observed: Option<(LeaseSpec, Instant)>,
    /// When the lease of this replica expires, from the holder's point of view.
    valid_until: Instant,
    outage: Outage,
}

/// The result of an attempt to acquire or renew the lease.
#[derive(PartialEq)]
enum ClaimResult {
    /// This replica holds it.
    Held,
    /// Another replica holds it.
    HeldByOther,
    /// Another replica changed it concurrently: retry.
    Conflict,
}

impl LeaderLease {
    /// A lease of this name, not held yet.
    pub fn new(client: Client, namespace: &str, name: &'static str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name,
            identity,
            observed: None,
            valid_until: Instant::now(),
            outage: Outage::default(),
        }
    }

    /// Waits until this replica holds the lease.
    pub async fn acquire(&mut self) {
        while self.try_claim().await != Some(ClaimResult::Held) {
            sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews the lease. Returns when it is lost, before another replica may acquire it.
    pub async fn renew(&mut self) {
        loop {
            sleep_until(self.valid_until.min(Instant::now() + RETRY_PERIOD)).await;
            match timeout_at(self.valid_until, self.try_claim()).await {
                Err(_) | Ok(Some(ClaimResult::HeldByOther)) => return,
                Ok(Some(ClaimResult::Held | ClaimResult::Conflict) | None) => {}
            }
        }
    }

    /// Releases the lease if this replica holds it, so that another acquires it at its next
    /// attempt.
    pub async fn release(&self) {
        match timeout(RELEASE_DEADLINE, self.clear_holder()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not released"),
            Err(_) => tracing::warn!("the lease was not released in time"),
        }
    }

    /// One attempt; `None` if the API server failed.
    async fn try_claim(&mut self) -> Option<ClaimResult> {
        match self.claim_once().await {
            Ok(result) => {
                self.outage.succeeded();
                Some(result)
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

    async fn claim_once(&mut self) -> Result<ClaimResult, CallError> {
        // Measured before the request: other replicas measure from when they observe the write.
        let requested_at = Instant::now();
        let written = match call(self.api.get_opt(self.name)).await? {
            None => call(self.api.create(&params(), &self.claimed(self.new_object()))).await,
            Some(found) if self.may_claim(&found) => {
                call(self.api.replace(self.name, &params(), &self.claimed(found))).await
            }
            Some(_) => return Ok(ClaimResult::HeldByOther),
        };
        match written {
            Ok(_) => {
                self.valid_until = requested_at + RENEW_DEADLINE;
                Ok(ClaimResult::Held)
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(ClaimResult::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Whether the lease is ours, has no holder, or has expired.
    fn may_claim(&mut self, found: &LeaseResource) -> bool {
        let spec = found.spec.clone().unwrap_or_default();
        match spec.holder_identity.as_deref() {
            None | Some("") => true,
            Some(holder) if holder == self.identity => true,
            Some(_) => self.has_expired(spec),
        }
    }

    fn has_expired(&mut self, spec: LeaseSpec) -> bool {
        let seconds = spec.lease_duration_seconds.unwrap_or(DURATION_SECONDS);
        let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        match &self.observed {
            Some((observed, since)) if *observed == spec => since.elapsed() >= duration,
            _ => {
                self.observed = Some((spec, Instant::now()));
                false
            }
        }
    }

    fn new_object(&self) -> LeaseResource {
        let mut lease = LeaseResource::default();
        lease.metadata.name = Some(self.name.into());
        lease.metadata.labels = Some(labels());
        lease
    }

    /// The lease, held by this replica from now on.
    fn claimed(&self, mut lease: LeaseResource) -> LeaseResource {
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

    async fn clear_holder(&self) -> Result<(), CallError> {
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
