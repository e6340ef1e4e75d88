//! The binary: parses the command line, starts logging and runs the subcommand.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use webhook_operator::cli::{self, Cli, Success};

/// Exit code if the command found a problem.
const PROBLEM_FOUND: u8 = 1;

/// Exit code for a usage error or a missing part of the environment.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let Cli { telemetry, command } = Cli::of_call();
    telemetry.start();
    match cli::execute(command) {
        Ok(Success::Yes) => ExitCode::SUCCESS,
        Ok(Success::No) => ExitCode::from(PROBLEM_FOUND),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}
