//! Words: those that the function writes and the server hears, and those that people have chosen as names and passwords.

use lab::leaks;
use lab::rotation::Step;

use super::asked::{Engine, Shared, Strategy};
use super::check::Check;
use super::flaw::{Flaw, Judged};
use super::scene::Scene;
use super::server::Server;
use super::trial::{PLAIN, Trial, password};

/// Names that are legal and inconvenient.
const NAMES: [&str; 12] = [
    "UPPER",
    "with space",
    "quo\"te",
    "apo'strophe",
    "back\\slash",
    "per%cent",
    "semi;colon",
    "drop table; --",
    "Ünïcödé",
    "用户",
    "$1",
    "a=b",
];

/// Passwords likewise, made by hand before rotation was switched on.
const PASSWORDS: [&str; 8] =
    ["it's", "say \"x\"", "back\\slash\\", "100%s {0}", "; drop table --", "pässwörd", "密码", " spaces "];

/// The name of this part.
const PART: &str = "words";

const SEEN: &str = "a reader of the logs can log in";
const STUCK: &str = "secrets with such accounts do not rotate, or run as SQL what was meant as a name";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(PART, "no password in the server's log", SEEN, |trial| Box::pin(server_log(trial))),
        Check::new(PART, "no password in what the function writes and answers", SEEN, |trial| {
            Box::pin(output(trial))
        }),
        Check::new(PART, "odd user names", STUCK, |trial| Box::pin(names(trial))).only(Strategy::SingleUser),
        Check::new(PART, "odd passwords", STUCK, |trial| Box::pin(passwords(trial)))
            .only(Strategy::SingleUser),
    ]
}

async fn server_log(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    // The statements that made the accounts contain their first passwords.
    let before: Vec<usize> = scene.server.written().iter().map(String::len).collect();
    for _ in 0..2 {
        scene.rotate().await?;
    }
    let written = scene.server.written();
    let new = written.iter().zip(before).map(|(log, before)| log.get(before..).unwrap_or(log));
    let log: String = new.collect();
    if !Server::mentions_change(&log) {
        return Err(Flaw::Unclear("the log does not show the change of a password".into()));
    }
    absent(&scene.passwords(), &[("the server's log", &log)])
}

/// Everything that is said in a rotation that works and in some that fail.
async fn output(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    if let Err(flaw) = scene.rotate().await {
        // An error that shows a password is seen, whatever else is wrong.
        let (error, written) = (flaw.why(), scene.world.output());
        absent(&scene.passwords(), &[("an error", &error), ("its output", &written)])?;
        return Err(Flaw::Stuck(error));
    }
    let token = scene.world.begin()?;
    let mut said = String::new();
    scene.go(&token, Step::CreateSecret).await?;
    for step in [Step::TestSecret, Step::FinishSecret] {
        said += &scene.step(&token, step).await.err().unwrap_or_default();
    }
    // From here on nothing logs in any more.
    let other = password();
    let user = scene.current()?["username"].as_str().unwrap_or_default().to_owned();
    let account = scene.server.account(&user);
    scene
        .server
        .run(&match trial.bench.engine {
            Engine::Postgres | Engine::Redshift => format!("ALTER USER {account} PASSWORD '{other}'"),
            Engine::Mysql | Engine::Mariadb => format!("ALTER USER {account} IDENTIFIED BY '{other}'"),
        })
        .await?;
    for step in Step::ALL {
        said += &scene.step(&token, step).await.err().unwrap_or_default();
    }
    let written = scene.world.output();
    absent(&scene.passwords(), &[("an error", &said), ("its output", &written)])
}

/// Says in which form a password was found, not which password.
fn absent(passwords: &[String], texts: &[(&str, &str)]) -> Judged {
    for password in passwords {
        let texts: Vec<(&str, &[u8])> = texts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        if let Some(leak) = leaks::found(&[password], &texts) {
            return Err(leak.replace(password.as_str(), "a password").into());
        }
    }
    Ok(String::new())
}

async fn names(trial: Shared<Trial>) -> Judged {
    // Each name is new on its server, so that the check can be done again.
    let odd = NAMES.iter().map(|name| (*name, format!("{name}{}", trial.bench.number()), password()));
    each(&trial, odd.collect()).await
}

async fn passwords(trial: Shared<Trial>) -> Judged {
    // Long enough for any server's policy.
    let odd = |(number, odd)| format!("{odd}{number}Zq8{odd}");
    let tried = PASSWORDS.iter().enumerate().map(|(at, word)| (*word, trial.user(), odd((at, *word))));
    let may_be = |(_, _, password): &(&str, String, String)| trial.bench.engine.may_have(password);
    each(&trial, tried.filter(may_be).collect()).await
}

/// Rotates each account, of an odd word, a name and a password, twice, so that the function's own password is the old one once.
async fn each(trial: &Trial, accounts: Vec<(&str, String, String)>) -> Judged {
    let (count, mut failed) = (accounts.len(), Vec::new());
    for (odd, user, password) in accounts {
        let scene = trial.scene_of(&trial.bench.server, &user, &password, PLAIN).await?;
        match rotated_twice(&scene).await {
            Err(Flaw::Unclear(why)) => return Err(Flaw::Unclear(why)),
            Err(flaw) => failed.push(format!("{odd:?}: {}", flaw.why())),
            Ok(()) => {}
        }
    }
    match failed.first() {
        None => Ok(format!("{count}")),
        Some(first) => Err(Flaw::Stuck(format!("{} of {count}, such as {first}", failed.len()))),
    }
}

async fn rotated_twice(scene: &Scene) -> Result<(), Flaw> {
    scene.rotate().await?;
    scene.rotate().await?;
    scene.current_logs_in("afterwards").await
}
