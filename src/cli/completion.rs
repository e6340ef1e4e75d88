//! `webhook-operator completion`: shell completion scripts, and completion for the kubectl plugin.

use std::ffi::OsString;
use std::io;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_complete::engine;

use super::output;

/// cobra's directive `ShellCompDirectiveNoFileComp`: kubectl then does not complete file names.
const NO_FILES: &str = ":4";

/// Flags of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Shell to generate the script for
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completion script of a shell.
pub fn print(args: &CompletionArgs, mut program: Command) {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
}

/// Prints the completions of the last word in kubectl's format, and exits.
pub fn answer_kubectl(program: Command, words: Vec<OsString>) -> ! {
    match candidates(program, words) {
        Ok(lines) => {
            lines.iter().for_each(|line| output::line(line));
            output::line(NO_FILES);
            std::process::exit(0)
        }
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(2)
        }
    }
}

/// One line per completion of the last word: the word, and its help after a tab.
fn candidates(mut program: Command, words: Vec<OsString>) -> io::Result<Vec<String>> {
    let mut line = vec![OsString::from(program.get_name())];
    line.extend(words);
    if line.len() == 1 {
        line.push(OsString::new());
    }
    let last = line.len() - 1;
    let found = engine::complete(&mut program, line, last, None)?;
    let written = found.iter().map(|candidate| {
        let value = candidate.get_value().to_string_lossy();
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        match help.lines().next() {
            Some(help) => format!("{value}\t{help}"),
            None => value.into_owned(),
        }
    });
    Ok(written.collect())
}
