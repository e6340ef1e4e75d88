//! Queries all replicas and collects their responses.

use anyhow::anyhow;
use futures_util::future::join_all;
use http::StatusCode;

use super::reach::Operator;
use super::replica::{Replica, ReplicaError};

/// The responses of all replicas.
pub struct Answers<T> {
    /// Responses, in the order of the replicas.
    pub given: Vec<T>,
    /// Replicas that failed, with the error.
    pub failed: Vec<(String, ReplicaError)>,
}

/// Queries all replicas concurrently.
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

/// Queries the replicas one after the other, until one responds with success. For requests with an
/// effect: replicas that share their store would each repeat it.
pub async fn ask_in_turn<'a, T, F>(
    replicas: &'a [Replica],
    question: impl Fn(&'a Replica) -> F,
) -> Answers<T>
where
    F: Future<Output = Result<T, ReplicaError>>,
{
    let mut failed = Vec::new();
    for replica in replicas {
        match question(replica).await {
            Ok(answer) => return Answers { given: vec![answer], failed },
            Err(error) => failed.push((replica.name.clone(), error)),
        }
    }
    Answers { given: Vec::new(), failed }
}

impl<T> Answers<T> {
    /// The responses; prints a warning to stderr for each replica that failed.
    ///
    /// # Errors
    /// All replicas failed.
    pub fn of_some(self) -> anyhow::Result<Vec<T>> {
        if self.given.is_empty() {
            return Err(self.failure());
        }
        for (name, why) in &self.failed {
            eprintln!("warning: no response from {name}: {why}");
        }
        Ok(self.given)
    }

    /// The response of the replica that has the object; `None` if no replica has it.
    ///
    /// # Errors
    /// No replica returned the object, and at least one failed.
    pub fn of_one(mut self) -> anyhow::Result<Option<T>> {
        if let Some(answer) = self.given.pop() {
            return Ok(Some(answer));
        }
        self.failed.retain(|(_, why)| !is_not_found(why));
        if self.failed.is_empty() { Ok(None) } else { Err(self.failure()) }
    }

    /// The error of the failed replicas, without repetitions.
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

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::cli::client::way::Way;

    fn answers(given: &[u8], failed: &[(&str, Option<u16>, &str)]) -> Answers<u8> {
        let failed = failed.iter().map(|(name, status, why)| {
            let message = (*why).to_owned();
            let error = match status.and_then(|status| StatusCode::from_u16(status).ok()) {
                Some(status) => ReplicaError::Refused { status, message },
                None => ReplicaError::Unreachable(message),
            };
            ((*name).to_owned(), error)
        });
        Answers { given: given.to_vec(), failed: failed.collect() }
    }

    fn replica(name: &str) -> Replica {
        let way = Way::to_server("http://127.0.0.1:1").unwrap();
        Replica { name: name.into(), way, authorization: None }
    }

    #[tokio::test]
    async fn in_turn_nobody_is_asked_after_the_first_success() {
        let replicas = ["a", "b", "c"].map(replica);
        let asked = Mutex::new(Vec::new());
        let question = async |replica: &Replica| {
            asked.lock().push(replica.name.clone());
            let (status, message) = (StatusCode::NOT_FOUND, String::new());
            if replica.name == "a" { Err(ReplicaError::Refused { status, message }) } else { Ok(7) }
        };
        assert_eq!(ask_in_turn(&replicas, question).await.of_one().unwrap(), Some(7));
        assert_eq!(*asked.lock(), ["a", "b"]);
        assert_eq!(ask_in_turn(&replicas[..1], question).await.of_one().unwrap(), None);
    }

    #[test]
    fn a_list_needs_one_replica_and_the_others_reasons_are_told_once_each() {
        let gone = ("b", None, "no route");
        assert_eq!(answers(&[1], &[gone]).of_some().unwrap(), [1]);
        assert_eq!(answers(&[], &[gone]).of_some().unwrap_err().to_string(), "b: no route");
        let no = Some(403);
        let all = answers(&[], &[("a", no, "you may not"), gone, ("c", no, "you may not")]);
        assert_eq!(all.of_some().unwrap_err().to_string(), "you may not; b: no route");
    }

    #[test]
    fn what_no_replica_has_is_only_missing_when_all_of_them_said_so() {
        let missing = ("a", Some(404), "Not Found.");
        assert_eq!(answers(&[7], &[missing, ("b", None, "no route")]).of_one().unwrap(), Some(7));
        assert_eq!(answers(&[], &[missing, missing]).of_one().unwrap(), None);
        let error = answers(&[], &[missing, ("b", None, "no route")]).of_one().unwrap_err();
        assert_eq!(error.to_string(), "b: no route");
    }
}
