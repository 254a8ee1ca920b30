//! Steps that come twice, late, before their turn, and for versions that are not theirs.

use lab::rotation::Step;
use serde_json::{Value, json};

use super::asked::Shared;
use super::check::Check;
use super::flaw::{Flaw, Judged};
use super::scene::Scene;
use super::trial::{Trial, password};

/// The name of this part.
const PART: &str = "steps twice, late, and before their turn";

const STUCK: &str = "a retry of Secrets Manager leaves the rotation stuck, or clients locked out";
const OUTAGE: &str =
    "a password that the server does not know becomes current: an outage until somebody repairs it by hand";
const LATE: &str = "a late retry of an older rotation changes the password of a newer one";
const STOP: &str = "an operator who stops rotation cannot stop it";
const LOST: &str = "a retry sets a password that no version of the secret holds: locked out";
const TAKEN: &str = "a user who may write the secret can take over other accounts";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(PART, "every step twice", STUCK, |trial| Box::pin(doubled(trial))),
        Check::new(PART, "every step again after the end", STUCK, |trial| Box::pin(again(trial))),
        Check::new(PART, "setSecret and testSecret before createSecret", STUCK, |trial| {
            Box::pin(early(trial))
        }),
        Check::new(PART, "a stray finishSecret promotes nothing that does not log in", OUTAGE, |trial| {
            Box::pin(stray(trial))
        }),
        Check::new(PART, "testSecret refuses what was never set", OUTAGE, |trial| Box::pin(untested(trial))),
        Check::new(PART, "a token that was never pending is refused", LATE, |trial| {
            Box::pin(stranger(trial))
        }),
        Check::new(PART, "a token that lost AWSPENDING is refused", LATE, |trial| Box::pin(dropped(trial))),
        Check::new(PART, "a rotation that was switched off is refused", STOP, |trial| {
            Box::pin(switched_off(trial))
        }),
        Check::new(PART, "a pending value that is there already is kept", LOST, |trial| {
            Box::pin(kept(trial))
        }),
        Check::new(PART, "a pending value for another user is refused", TAKEN, |trial| {
            Box::pin(foreign(trial))
        }),
    ]
}

/// The steps to the end, and what must be so there.
async fn ends_well(scene: &Scene, token: &str) -> Judged {
    scene
        .world
        .steps(token)
        .await
        .map_err(|error| Flaw::Stuck(format!("afterwards it does not end: {error}")))?;
    promoted(scene, token).await
}

/// What must be so at the end of a rotation.
async fn promoted(scene: &Scene, token: &str) -> Judged {
    scene.current_logs_in("at the end").await?;
    match scene.version("AWSCURRENT").as_deref() == Some(token) {
        true => Ok(String::new()),
        false => Err("at the end the new version is not current".into()),
    }
}

async fn doubled(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    for step in Step::ALL {
        for _ in 0..2 {
            scene.go(&token, step).await?;
            scene.holds(&format!("after {}", step.name())).await?;
        }
    }
    promoted(&scene, &token).await
}

async fn again(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.rotate().await?;
    for step in Step::ALL {
        scene.go(&token, step).await?;
        scene.current_logs_in(&format!("after a second {}", step.name())).await?;
    }
    Ok(String::new())
}

async fn early(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    for step in [Step::SetSecret, Step::TestSecret] {
        if scene.step(&token, step).await.is_ok() {
            return Err(format!("{} succeeds where there is nothing pending", step.name()).into());
        }
        scene.current_logs_in(&format!("after {}", step.name())).await?;
    }
    ends_well(&scene, &token).await
}

async fn stray(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    // Whatever it answers: what counts is what is current.
    let _ = scene.step(&token, Step::FinishSecret).await;
    scene.current_logs_in("after a finishSecret before createSecret").await?;
    scene.go(&token, Step::CreateSecret).await?;
    let _ = scene.step(&token, Step::FinishSecret).await;
    scene.current_logs_in("after a finishSecret before setSecret").await?;
    ends_well(&scene, &token).await
}

async fn untested(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    scene.go(&token, Step::CreateSecret).await?;
    if scene.step(&token, Step::TestSecret).await.is_ok() {
        return Err("it succeeds".into());
    }
    ends_well(&scene, &token).await
}

async fn stranger(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    scene.rotate().await?;
    let value = scene.current()?;
    let other = "a-version-that-nobody-rotates-to-0001";
    let mut forged = value.clone();
    forged["password"] = json!(password());
    scene.world.lab.secrets().put(&scene.world.secret, other, &forged.to_string(), &["AWSOTHER"])?;
    refuses_all(&scene, other, &value).await
}

async fn dropped(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    scene.go(&token, Step::CreateSecret).await?;
    scene.world.lab.secrets().remove_label(&scene.world.secret, "AWSPENDING")?;
    let value = scene.current()?;
    refuses_all(&scene, &token, &value).await
}

async fn switched_off(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    scene.go(&token, Step::CreateSecret).await?;
    scene.world.lab.secrets().call("CancelRotateSecret", json!({"SecretId": scene.world.secret}))?;
    let value = scene.current()?;
    refuses_all(&scene, &token, &value).await
}

/// Sees that no step for this token succeeds or changes anything.
async fn refuses_all(scene: &Scene, token: &str, value: &Value) -> Judged {
    for step in Step::ALL {
        if scene.step(token, step).await.is_ok() {
            return Err(format!("{} succeeds", step.name()).into());
        }
    }
    if scene.current()? != *value {
        return Err("the current value is another".into());
    }
    scene.current_logs_in("afterwards").await?;
    Ok(String::new())
}

async fn kept(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let token = scene.world.begin()?;
    scene.go(&token, Step::CreateSecret).await?;
    let pending = scene.world.labelled("AWSPENDING");
    scene.go(&token, Step::CreateSecret).await?;
    ends_well(&scene, &token).await?;
    match scene.world.labelled("AWSCURRENT") == pending {
        true => Ok(String::new()),
        false => Err("what became current is not what was pending first".into()),
    }
}

async fn foreign(trial: Shared<Trial>) -> Judged {
    let scene = trial.scene().await?;
    let (victim, first) = (trial.user(), password());
    scene.server.add(&victim, &first).await?;
    let token = scene.world.begin()?;
    let mut forged = scene.current()?;
    (forged["username"], forged["password"]) = (json!(victim), json!(password()));
    scene.world.lab.secrets().put(&scene.world.secret, &token, &forged.to_string(), &["AWSPENDING"])?;
    for step in Step::ALL {
        if step != Step::CreateSecret && scene.step(&token, step).await.is_ok() {
            return Err(format!("{} succeeds", step.name()).into());
        }
    }
    match scene.server.accepts(&json!({"username": victim, "password": first})).await? {
        true => Ok(String::new()),
        false => Err("the other user's password was changed".into()),
    }
}
