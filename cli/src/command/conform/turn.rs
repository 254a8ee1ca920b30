//! Rotations in which nothing goes wrong.

use std::time::{Duration, Instant};

use lab::continuity::{Clients, Habits, Login};
use lab::rotation::Step;
use serde_json::Value;
use tokio::time::timeout;

use super::asked::Shared;
use super::bench::{Bench, PLAIN, Way};
use super::card::Card;
use super::flaw::{Flaw, Judged};

/// Figures are taken where every check is wanted.
const FIGURES: &str = "";

/// How long each call takes while their depth is counted.
const LATENCY: Duration = Duration::from_millis(50);

/// Far longer than clients keep a copy: who is not in by then is locked out.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn judge(bench: &Shared<Bench>, card: &mut Card<'_>) {
    card.part("it rotates");
    card.check("three rotations in a row", "rotation does not work at all", thrice(bench)).await;
    card.check(
        "what else is in the secret stays",
        "a rotation loses fields that applications need",
        keeps(bench),
    )
    .await;
    card.check(
        "no login is refused on the way",
        "accounts that lock after failed logins are driven into the lock, and alarms ring",
        unrefused(bench),
    )
    .await;
    card.check(
        "testSecret works on its own",
        "RotateSecret without RotateImmediately cannot say whether the function works",
        alone(bench),
    )
    .await;
    if bench.overlaps() {
        card.check("no client is refused", "applications fail while the secret rotates", unnoticed(bench))
            .await;
    }
    if card.wants(FIGURES)
        && let Err(Flaw::Fails(why) | Flaw::Unclear(why)) = measure(bench, card).await
    {
        card.figure("not measured", why);
    }
}

async fn thrice(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let started = Instant::now();
    for number in 1..=3 {
        let old = scene.current()?;
        scene.rotate().await.map_err(|error| format!("rotation {number}: {error}"))?;
        scene.current_logs_in(&format!("after rotation {number}")).await?;
        if scene.current()?["password"] == old["password"] {
            return Err(format!("rotation {number} changed no password").into());
        }
        if !bench.overlaps() && scene.server.accepts(&old).await? {
            return Err(format!("after rotation {number} the old password still logs in").into());
        }
    }
    Ok(format!("{} ms each", started.elapsed().as_millis() / 3))
}

async fn keeps(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let before = scene.current()?;
    scene.rotate().await?;
    let after = scene.current()?;
    let keys = before.as_object().into_iter().flat_map(|object| object.keys());
    let lost = keys.filter(|key| !["username", "password"].contains(&key.as_str()));
    let lost: Vec<&String> = lost.filter(|key| before[*key] != after[*key]).collect();
    if lost.is_empty() { Ok(String::new()) } else { Err(format!("changed or lost: {lost:?}").into()) }
}

async fn unrefused(bench: &Bench) -> Judged {
    let proxy = bench.proxy().await?;
    let scene = bench.scene_on(&bench.server, Way { port: Some(proxy.port()), ..PLAIN }).await?;
    for _ in 0..2 {
        scene.rotate().await?;
    }
    match proxy.logins_refused() {
        0 => Ok(String::new()),
        count => Err(format!("{count} logins were refused in two rotations").into()),
    }
}

async fn alone(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    let value = scene.current()?.to_string();
    scene.world.lab.secrets().put(&scene.world.secret, &token, &value, &["AWSPENDING"])?;
    scene.step(&token, Step::TestSecret).await?;
    Ok(String::new())
}

/// Clients with caches log in all the while.
async fn clients(bench: &Bench) -> Result<lab::continuity::Tally, Flaw> {
    let scene = bench.scene().await?;
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

async fn unnoticed(bench: &Bench) -> Judged {
    let tally = clients(bench).await?;
    let figure = format!("{} logins, {} refused", tally.logins(), tally.refused);
    if tally.refused == 0 { Ok(figure) } else { Err(figure.into()) }
}

async fn measure(bench: &Bench, card: &mut Card<'_>) -> Result<(), Flaw> {
    let scene = bench.scene().await?;
    scene.rotate().await?;
    let ready = scene.world.function.ready_after();
    scene.world.lab.clear_calls();
    scene.world.lab.set_latency(LATENCY);
    scene.rotate().await?;
    let (calls, depth) = (scene.world.lab.calls().len(), scene.world.lab.depth());
    card.figure("calls to Secrets Manager", format!("{calls}, {depth} of them one after another"));
    if !bench.overlaps() {
        let gap = clients(bench).await?.gap;
        card.figure("a client is kept out for", format!("{} ms at most", gap.as_millis()));
    }
    if let Some(ready) = ready {
        card.figure("ready after", format!("{} ms", ready.as_millis()));
    }
    card.figure("memory", format!("{:.1} MB", scene.world.function.memory_peak() as f64 / 1e6));
    Ok(())
}
