//! The program under the names by which kubectl calls it, and what shells complete.

use std::os::unix::fs::symlink;
use std::process::Command;

use tempfile::TempDir;

use crate::support::ended::Ended;
use crate::support::operator::output;

/// Runs the program under another name.
fn called(name: &str, words: &[&str]) -> Ended {
    let folder = TempDir::new().unwrap();
    let link = folder.path().join(name);
    symlink(env!("CARGO_BIN_EXE_webhook-operator"), &link).unwrap();
    Command::new(link).args(words).output().unwrap().into()
}

#[test]
fn as_a_plugin_it_has_what_is_of_use_beside_kubectl_and_says_kubectls_name() {
    let help = called("kubectl-webhook", &["--help"]).with(0);
    assert!(help.contains("Usage: kubectl webhook [OPTIONS] <COMMAND>"), "{help}");
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(commands, ["deliveries", "trigger", "status", "eval", "completion", "help"]);
    let help = called("kubectl-webhook", &["deliveries", "list", "--help"]).with(0);
    assert!(help.contains("Usage: kubectl webhook deliveries list"), "{help}");
    for flag in ["-n, --namespace", "-A, --all-namespaces", "--context", "--kubeconfig"] {
        assert!(help.contains(flag), "{flag} in {help}");
    }
    let wrong = called("kubectl-webhook", &["run"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("kubectl webhook"), "{}", wrong.stderr);
}

#[test]
fn kubectl_is_told_how_a_line_goes_on() {
    let asked = |words: &[&str]| called("kubectl_complete-webhook", words).with(0);
    let said = asked(&["del"]);
    assert_eq!(said, "deliveries\tList, show and replay deliveries\n:4\n");
    let said = asked(&["deliveries", ""]);
    let words: Vec<&str> = said.lines().filter_map(|line| line.split('\t').next()).collect();
    assert!(["list", "show", "replay", ":4"].iter().all(|word| words.contains(word)), "{said}");
    assert!(asked(&["deliveries", "list", "--state", "d"]).starts_with("dead"));
    assert!(asked(&["trigger", "--unsi"]).starts_with("--unsigned\t"));
    assert!(asked(&[]).contains("status\t"));
}

#[test]
fn each_shell_has_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Ended::from(output(&["completion", shell])).with(0);
        assert!(script.contains("webhook-operator") && script.contains("deliveries"), "{shell}");
    }
    let script = called("kubectl-webhook", &["completion", "bash"]).with(0);
    assert!(script.contains("kubectl-webhook") && !script.contains("standalone"));
}

#[test]
fn the_script_of_bash_completes() {
    let script = Ended::from(output(&["completion", "bash"])).with(0);
    let ask = "\nCOMP_WORDS=(webhook-operator deli); COMP_CWORD=1
        _webhook__operator webhook-operator deli webhook-operator; echo \"${COMPREPLY[@]}\"";
    let ended = Command::new("bash").args(["-c", &format!("{script}{ask}")]).output().unwrap();
    assert_eq!(Ended::from(ended).with(0), "deliveries\n");
}
