//! Words: those that the function writes and the server hears, and those that people have chosen as names and passwords.

use lab::leaks;
use lab::rotation::Step;

use super::asked::{Engine, Strategy};
use super::bench::{Bench, PLAIN, password};
use super::card::Card;
use super::flaw::{Flaw, Judged};
use super::server::Server;

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

pub(super) async fn judge(bench: &Bench, card: &mut Card<'_>) {
    card.part("words");
    let seen = "whoever reads logs can log in";
    card.check("no password in the server's log", seen, server_log(bench)).await;
    card.check("no password in what the function writes and answers", seen, output(bench)).await;
    if bench.strategy == Strategy::SingleUser {
        let stuck = "secrets with such accounts do not rotate, or run as SQL what was meant as a name";
        card.check("odd user names", stuck, names(bench)).await;
        card.check("odd passwords", stuck, passwords(bench)).await;
    }
}

async fn server_log(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    // Whoever made the accounts wrote their first passwords.
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
async fn output(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    scene.rotate().await?;
    let token = scene.world.begin()?;
    let mut said = String::new();
    scene.step(&token, Step::CreateSecret).await?;
    for step in [Step::TestSecret, Step::FinishSecret] {
        said += &scene.step(&token, step).await.err().unwrap_or_default();
    }
    // From here on nothing logs in any more.
    let other = password();
    let user = scene.current()?["username"].as_str().unwrap_or_default().to_owned();
    let account = scene.server.account(&user);
    scene
        .server
        .run(&match bench.engine {
            Engine::Postgres => format!("ALTER ROLE {account} PASSWORD '{other}'"),
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

async fn names(bench: &Bench) -> Judged {
    let tried = NAMES.iter().map(|name| (*name, password()));
    each(bench, tried.collect()).await
}

async fn passwords(bench: &Bench) -> Judged {
    let tried = PASSWORDS.iter().enumerate().map(|(number, odd)| {
        // Long enough for any server's policy.
        ("", format!("{odd}{number}Zq8{odd}"))
    });
    each(bench, tried.collect()).await
}

/// Rotates each account twice, so that the function's own password is the old one once.
async fn each(bench: &Bench, accounts: Vec<(&str, String)>) -> Judged {
    let (count, mut failed) = (accounts.len(), Vec::new());
    for (name, password) in accounts {
        let own = bench.user();
        let user = if name.is_empty() { &own } else { name };
        let scene = bench.scene_of(&bench.server, user, &password, PLAIN).await?;
        let mut outcome = scene.rotate().await;
        if outcome.is_ok() {
            outcome = scene.rotate().await;
        }
        let what = if name.is_empty() { &password } else { name };
        match outcome {
            Err(error) => failed.push(format!("{what:?}: {error}")),
            Ok(_) if !scene.server.accepts(&scene.current()?).await? => {
                failed.push(format!("{what:?}: AWSCURRENT does not log in"));
            }
            Ok(_) => {}
        }
    }
    match failed.first() {
        None => Ok(format!("{count}")),
        Some(first) => Err(format!("{} of {count}, such as {first}", failed.len()).into()),
    }
}
