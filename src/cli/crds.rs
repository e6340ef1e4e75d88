//! `webhook-operator crds`.

use clap::Args;

use super::output;
use crate::resources::crds;

/// Flags of `crds`.
#[derive(Debug, Args)]
pub struct CrdsArgs {
    /// Print only this definition, by its plural name
    #[arg(long, value_name = "PLURAL", value_parser = ["webhookapps", "webhooks"])]
    only: Option<String>,
}

/// Prints the CRDs as YAML documents.
pub fn print(args: &CrdsArgs) {
    for crd in crds::all() {
        if args.only.as_ref().is_none_or(|only| *only == crd.spec.names.plural) {
            output::line(&format!("---\n{}", crds::to_yaml(&crd).trim_end()));
        }
    }
}
