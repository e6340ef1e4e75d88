//! Several replicas asked for the same: their answers, and who did not answer.

use anyhow::anyhow;
use futures_util::future::join_all;
use http::StatusCode;

use super::reach::Operator;
use super::replica::{Replica, ReplicaError};

/// What the replicas answered.
pub struct Answers<T> {
    /// Answers, in the order of the replicas.
    pub given: Vec<T>,
    /// Which replicas gave none, and why.
    pub failed: Vec<(String, ReplicaError)>,
}

/// Asks every replica at once.
pub async fn ask<'a, T, F>(
    operator: &'a Operator,
    question: impl Fn(&'a Replica) -> F,
) -> Answers<T>
where
    F: Future<Output = Result<T, ReplicaError>>,
{
    let asked = operator.replicas.iter().map(|replica| {
        let answer = question(replica);
        async { (replica.name.clone(), answer.await) }
    });
    let (mut given, mut failed) = (Vec::new(), Vec::new());
    for (name, answer) in join_all(asked).await {
        match answer {
            Ok(answer) => given.push(answer),
            Err(error) => failed.push((name, error)),
        }
    }
    Answers { given, failed }
}

impl<T> Answers<T> {
    /// The answers of those who gave one; who gave none is told of on stderr.
    ///
    /// # Errors
    /// When nobody gave one.
    pub fn of_some(self) -> anyhow::Result<Vec<T>> {
        if self.given.is_empty() {
            return Err(self.failure());
        }
        for (name, why) in &self.failed {
            eprintln!("warning: nothing from {name}: {why}");
        }
        Ok(self.given)
    }

    /// The one answer to a question about something that one replica has; `None` when nobody has it.
    ///
    /// # Errors
    /// When nobody answered, and somebody could not be asked.
    pub fn of_one(mut self) -> anyhow::Result<Option<T>> {
        if let Some(answer) = self.given.pop() {
            return Ok(Some(answer));
        }
        self.failed.retain(|(_, why)| !is_not_found(why));
        if self.failed.is_empty() { Ok(None) } else { Err(self.failure()) }
    }

    /// Why nothing came of it: once, where all say the same.
    pub fn failure(&self) -> anyhow::Error {
        let mut reasons: Vec<String> = Vec::new();
        for (name, why) in &self.failed {
            let reason = match why {
                ReplicaError::Refused { message, .. } => message.clone(),
                ReplicaError::Unreachable(_) => format!("{name}: {why}"),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        anyhow!(reasons.join("; "))
    }
}

fn is_not_found(error: &ReplicaError) -> bool {
    matches!(error, ReplicaError::Refused { status: StatusCode::NOT_FOUND, .. })
}
