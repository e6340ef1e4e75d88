//! The name under which the program was started: suggested commands begin with it.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

/// The names of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// `webhook-operator`.
    Program,
    /// `kubectl-webhook`, as kubectl runs a plugin.
    Plugin,
    /// `kubectl_complete-webhook`, as kubectl runs a plugin for completions.
    Completer,
}

static CALLED: OnceLock<Called> = OnceLock::new();

impl Called {
    /// The name from the first argument of the process.
    pub fn of(first: &OsStr) -> Self {
        match Path::new(first).file_stem().and_then(OsStr::to_str) {
            Some("kubectl-webhook") => Self::Plugin,
            Some("kubectl_complete-webhook") => Self::Completer,
            _ => Self::Program,
        }
    }

    /// Stores the name for [`Self::now`].
    pub fn remember(self) {
        CALLED.get_or_init(|| self);
    }

    /// The stored name.
    pub fn now() -> Self {
        CALLED.get().copied().unwrap_or(Self::Program)
    }

    /// The command line prefix of a subcommand.
    pub fn words(self) -> &'static str {
        match self {
            Self::Program => "webhook-operator",
            Self::Plugin | Self::Completer => "kubectl webhook",
        }
    }
}

/// A command line for this program, with the prefix that the user typed.
pub fn command(words: &str) -> String {
    format!("{} {words}", Called::now().words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_counts_and_not_the_folder() {
        for (first, called) in [
            ("webhook-operator", Called::Program),
            ("/usr/local/bin/kubectl-webhook", Called::Plugin),
            ("kubectl_complete-webhook", Called::Completer),
            ("kubectl-webhook/other", Called::Program),
            ("", Called::Program),
        ] {
            assert_eq!(Called::of(first.as_ref()), called, "{first}");
        }
    }
}
