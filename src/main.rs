//! The binary: parse, telemetry, dispatch.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use webhook_operator::cli::{self, Cli, Success};

/// What was asked about is not well.
const NOT_WELL: u8 = 1;

/// What a person did wrong, or what the surroundings lack.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let Cli { telemetry, command } = Cli::of_call();
    telemetry.start();
    match cli::execute(command) {
        Ok(Success::Yes) => ExitCode::SUCCESS,
        Ok(Success::No) => ExitCode::from(NOT_WELL),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}
