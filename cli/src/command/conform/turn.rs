//! Rotations in which nothing goes wrong.

use std::time::{Duration, Instant};

use lab::continuity::{Clients, Habits, Login, Tally};
use lab::rotation::Step;
use serde_json::Value;
use tokio::time::timeout;

use super::asked::{Shared, Strategy};
use super::bench::Bench;
use super::check::Check;
use super::flaw::{Flaw, Judged};
use super::trial::{PLAIN, Trial};

/// The name of this part.
pub(super) const PART: &str = "it rotates";

/// How long each call takes while their depth is counted.
const LATENCY: Duration = Duration::from_millis(50);

/// Far longer than clients keep a copy: who is not in by then is locked out.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(PART, "three rotations in a row", "rotation does not work at all", |trial| {
            Box::pin(thrice(trial))
        }),
        Check::new(
            PART,
            "what else is in the secret stays",
            "a rotation loses fields that applications need",
            |trial| Box::pin(keeps(trial)),
        ),
        Check::new(
            PART,
            "no login is refused on the way",
            "accounts that lock after failed logins are driven into the lock, and alarms ring",
            |trial| Box::pin(unrefused(trial)),
        ),
        Check::new(
            PART,
            "testSecret works on its own",
            "RotateSecret without RotateImmediately cannot say whether the function works",
            |trial| Box::pin(alone(trial)),
        ),
        Check::new(PART, "no client is refused", "applications fail while the secret rotates", |trial| {
            Box::pin(unnoticed(trial))
        })
        .only(Strategy::AlternatingUsers),
    ]
}

/// Whatever goes wrong here is the function's own fault: nothing is done to it.
async fn thrice(trial: Shared<Trial>) -> Judged {
    in_a_row(&trial).await.map_err(|flaw| match flaw {
        Flaw::Stuck(why) => Flaw::Fails(why),
        flaw => flaw,
    })
}

async fn in_a_row(trial: &Trial) -> Judged {
    let scene = trial.scene().await?;
    let started = Instant::now();
    for number in 1..=3 {
        let old = scene.current()?;
        scene.rotate().await.map_err(|flaw| flaw.when(&format!("rotation {number}")))?;
        scene.current_logs_in(&format!("after rotation {number}")).await?;
        if scene.current()?["password"] == old["password"] {
            return Err(format!("rotation {number} changed no password").into());
        }
        if !trial.overlaps() && scene.server.accepts(&old).await? {
            return Err(format!("after rotation {number} the old password still logs in").into());
        }
    }
    Ok(format!("{} ms each", started.elapsed().as_millis() / 3))
}

async fn keeps(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let before = scene.current()?;
    scene.rotate().await?;
    let after = scene.current()?;
    let keys = before.as_object().into_iter().flat_map(|object| object.keys());
    let lost = keys.filter(|key| !["username", "password"].contains(&key.as_str()));
    let lost: Vec<&String> = lost.filter(|key| before[*key] != after[*key]).collect();
    if lost.is_empty() { Ok(String::new()) } else { Err(format!("changed or lost: {lost:?}").into()) }
}

async fn unrefused(trial: Shared<Trial>) -> Judged {
    let (proxy, scene) = trial.scene_behind(&trial.bench.server, PLAIN).await?;
    for _ in 0..2 {
        scene.rotate().await?;
    }
    match (proxy.logins_sent(), proxy.logins_refused()) {
        (0, _) => Err(Flaw::Unclear("the proxy sees no login in two rotations".into())),
        (_, 0) => Ok(String::new()),
        (_, count) => Err(format!("{count} logins were refused in two rotations").into()),
    }
}

async fn alone(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    let value = scene.current()?.to_string();
    scene.world.lab.secrets().put(&scene.world.secret, &token, &value, &["AWSPENDING"])?;
    scene.go(&token, Step::TestSecret).await?;
    Ok(String::new())
}

/// Clients with caches log in all the while.
async fn clients(trial: &Trial) -> Result<Tally, Flaw> {
    let scene = trial.scene().await?;
    let server = Shared::clone(&scene.server);
    let login: Login = Shared::new(move |value: Value| {
        let server = Shared::clone(&server);
        Box::pin(async move { server.accepts(&value).await })
    });
    let habits = Habits { clients: 4, ..Habits::default() };
    let clients = Clients::start(&scene.world.lab.secrets(), &scene.world.secret, habits, login);
    let started = timeout(PATIENCE, clients.until(|tally| tally.accepted >= 20)).await;
    started.map_err(|_| Flaw::Unclear("clients do not get in before the first rotation".into()))?;
    for number in 1..=3 {
        scene.rotate().await?;
        let renewed = timeout(PATIENCE, clients.renewed()).await;
        renewed.map_err(|_| format!("after rotation {number} clients do not get in with AWSCURRENT"))?;
    }
    Ok(clients.stop().await)
}

async fn unnoticed(trial: Shared<Trial>) -> Judged {
    let tally = clients(&trial).await?;
    let figure = format!("{} logins, {} refused", tally.logins(), tally.refused);
    if tally.refused == 0 { Ok(figure) } else { Err(figure.into()) }
}

/// Figures, which no verdict hangs on.
pub(super) async fn measured(bench: &Shared<Bench>) -> Vec<(&'static str, String)> {
    let mut figures = Vec::new();
    if let Err(flaw) = measure(&Trial::unnamed(bench), &mut figures).await {
        figures.push(("not measured", flaw.why()));
    }
    figures
}

async fn measure(trial: &Trial, figures: &mut Vec<(&'static str, String)>) -> Result<(), Flaw> {
    let scene = trial.scene().await?;
    scene.rotate().await?;
    let ready = scene.world.function.ready_after();
    scene.world.lab.clear_calls();
    scene.world.lab.set_latency(LATENCY);
    scene.rotate().await?;
    let (calls, depth) = (scene.world.lab.calls().len(), scene.world.lab.depth());
    figures.push(("calls to Secrets Manager", format!("{calls}, {depth} of them one after another")));
    if !trial.overlaps() {
        let gap = clients(trial).await?.gap;
        figures.push(("a client is kept out for", format!("{} ms at most", gap.as_millis())));
    }
    if let Some(ready) = ready {
        figures.push(("ready after", format!("{} ms", ready.as_millis())));
    }
    figures.push(("memory", format!("{:.1} MB", scene.world.function.memory_peak() as f64 / 1e6)));
    Ok(())
}
