//! `[NAMESPACE/]NAME`, the name of an object on the command line.

use std::str::FromStr;

/// An object named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its namespace, if given.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if name.is_empty() || name.contains('/') || namespace.is_some_and(str::is_empty) {
            return Err("must be NAME or NAMESPACE/NAME");
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_may_be_named_before_a_name() {
        let read = |text: &str| text.parse::<Target>().map(|found| (found.namespace, found.name));
        assert_eq!(read("pay"), Ok((None, "pay".into())));
        assert_eq!(read("team-a/pay"), Ok((Some("team-a".into()), "pay".into())));
        assert!(["", "/pay", "team-a/", "a/b/c"].iter().all(|text| read(text).is_err()));
    }
}
