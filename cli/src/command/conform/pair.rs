//! Two users that take turns: the other one may do the same, and is nobody else's account.

use serde_json::json;

use super::asked::{Shared, Strategy};
use super::check::Check;
use super::flaw::Judged;
use super::trial::{Trial, password};

/// The name of this part.
const PART: &str = "two users";

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        Check::new(
            PART,
            "the other user may do what the first may",
            "after the rotation the application is logged in and may do nothing",
            |trial| Box::pin(grants(trial)),
        ),
        Check::new(
            PART,
            "what is taken from the first is taken from the other",
            "a privilege that was revoked comes back with the next rotation",
            |trial| Box::pin(revokes(trial)),
        ),
        Check::new(
            PART,
            "an account that happens to have the other's name is not touched",
            "a user who may write a secret can take over accounts of others",
            |trial| Box::pin(stranger(trial)),
        ),
    ];
    checks.into_iter().map(|check| check.only(Strategy::AlternatingUsers)).collect()
}

/// A table of this account's own.
fn table(user: &str) -> String {
    format!("of_{user}")
}

async fn grants(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
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

async fn revokes(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
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

async fn stranger(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let (victim, first) = (format!("{}_clone", scene.user), password());
    scene.server.add(&victim, &first).await?;
    let refused = scene.world.rotate().await.is_err();
    if !scene.server.accepts(&json!({"username": victim, "password": first})).await? {
        return Err("its password was changed".into());
    }
    scene.current_logs_in("afterwards").await?;
    if refused { Ok(String::new()) } else { Err("the rotation says that it succeeded".into()) }
}
