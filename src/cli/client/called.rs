//! By which name the program was called: commands that it advises begin with that name too.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

/// A name of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// Its own.
    Program,
    /// `kubectl-webhook`, as kubectl calls a plugin.
    Plugin,
    /// `kubectl_complete-webhook`, as kubectl asks a plugin for completions.
    Completer,
}

static CALLED: OnceLock<Called> = OnceLock::new();

impl Called {
    /// By the first word of the command line.
    pub fn of(first: &OsStr) -> Self {
        match Path::new(first).file_stem().and_then(OsStr::to_str) {
            Some("kubectl-webhook") => Self::Plugin,
            Some("kubectl_complete-webhook") => Self::Completer,
            _ => Self::Program,
        }
    }

    /// Remembers it for [`Self::now`].
    pub fn remember(self) {
        CALLED.get_or_init(|| self);
    }

    /// What was remembered.
    pub fn now() -> Self {
        CALLED.get().copied().unwrap_or(Self::Program)
    }

    /// What a person writes before a subcommand.
    pub fn words(self) -> &'static str {
        match self {
            Self::Program => "webhook-operator",
            Self::Plugin | Self::Completer => "kubectl webhook",
        }
    }
}

/// A command line of this program, as a person would write it who called it so.
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
