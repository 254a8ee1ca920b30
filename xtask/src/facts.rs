//! `cargo xtask aws --facts`: asks the real service whether the recorded facts about it hold.

use std::process::ExitCode;

use crate::command::{command, run};
use crate::setup;

/// boto3 finds credentials and signs; the facts' own program needs nothing else.
const CLIENT: [&str; 1] = ["boto3==1.44.5"];

const PLAN: &str = "\
This asks Secrets Manager itself whether the facts in lab/tests/facts/facts.toml hold, and prints each difference.

  account      the one that your credentials belong to (AWS_PROFILE, AWS_ACCESS_KEY_ID, single sign-on)
  Regions      AWS_REGION (us-east-1), and AWS_OTHER_REGION (us-east-2) for replicas
  creates      about 70 secrets named turnlock-facts-..., a few at a time, with invented values; no function, no key, no role
  deletes      each of them, without recovery, at the end of its fact; one that cannot be deleted is named
  takes        some minutes, most of them waiting until lists show a new secret
  costs        some cents at most: 0.40 USD for a secret and month by the hour, 0.05 USD for 10,000 calls
  permissions  secretsmanager:* on turnlock-facts-*, uat/* and prod@App*; ListSecrets, BatchGetSecretValue and GetRandomPassword on *

";

const ASK: &str = "Nothing has been asked yet. If that is what you want, run: cargo xtask aws --facts --yes";

/// Says what it would do, and does it if it was told to.
pub(crate) fn run_all(arguments: &[&str]) -> Option<ExitCode> {
    let sure = match arguments {
        ["--facts"] => false,
        ["--facts", "--yes"] => true,
        _ => return None,
    };
    print!("{PLAN}");
    let asked = setup::python("aws", &CLIENT).and_then(|python| {
        let python = python.join("python");
        run(&mut command(&python, &["lab/tests/facts/run.py", "--ready"]))?;
        if !sure {
            return Err(ASK.to_owned());
        }
        run(&mut command(&python, &["lab/tests/facts/run.py"]))
    });
    match asked {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("{why}");
            Some(ExitCode::FAILURE)
        }
    }
}
