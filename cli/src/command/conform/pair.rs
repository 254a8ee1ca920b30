//! Two users that take turns: the other one may do the same, and is nobody else's account.

use serde_json::json;

use super::bench::{Bench, password};
use super::card::Card;
use super::flaw::Judged;

pub(super) async fn judge(bench: &Bench, card: &mut Card<'_>) {
    if !bench.overlaps() {
        return;
    }
    card.part("two users");
    card.check(
        "the other user may do what the first may",
        "after the rotation the application is logged in and may do nothing",
        grants(bench),
    )
    .await;
    card.check(
        "what is taken from the first is taken from the other",
        "who was refused a right today has it again after the next rotation",
        revokes(bench),
    )
    .await;
    card.check(
        "an account that happens to have the other's name is not touched",
        "who may write a secret takes over accounts that are none of its own",
        stranger(bench),
    )
    .await;
}

/// A table of this account's own.
fn table(user: &str) -> String {
    format!("of_{user}")
}

async fn grants(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let table = table(&scene.user);
    scene.server.share_table(&table, &scene.user).await?;
    for number in 1..=3 {
        scene.rotate().await?;
        if !scene.server.reads(&scene.current()?, &table).await? {
            return Err(format!("after rotation {number} the current user cannot read its table").into());
        }
    }
    Ok(String::new())
}

async fn revokes(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let table = table(&scene.user);
    scene.server.share_table(&table, &scene.user).await?;
    scene.rotate().await?;
    scene.server.withhold_table(&table, &scene.user).await?;
    for number in 2..=3 {
        scene.rotate().await?;
        if scene.server.reads(&scene.current()?, &table).await? {
            return Err(format!("after rotation {number} the current user can still read the table").into());
        }
    }
    Ok(String::new())
}

async fn stranger(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let (victim, first) = (format!("{}_clone", scene.user), password());
    scene.server.add(&victim, &first).await?;
    let refused = scene.world.rotate().await.is_err();
    if !scene.server.accepts(&json!({"username": victim, "password": first})).await? {
        return Err("its password was changed".into());
    }
    scene.current_logs_in("afterwards").await?;
    if refused { Ok(String::new()) } else { Err("the rotation says that it succeeded".into()) }
}
