//! Steps that come twice, late, before their turn, and for versions that are not theirs.

use lab::rotation::Step;
use serde_json::{Value, json};

use super::bench::{Bench, Scene, password};
use super::card::Card;
use super::flaw::Judged;

pub(super) async fn judge(bench: &Bench, card: &mut Card<'_>) {
    card.part("steps twice, late, and before their turn");
    let stuck = "a retry of Secrets Manager leaves the rotation stuck, or clients locked out";
    card.check("every step twice", stuck, doubled(bench)).await;
    card.check("every step again after the end", stuck, again(bench)).await;
    card.check("setSecret and testSecret before createSecret", stuck, early(bench)).await;
    let outage = "a password that the server does not know becomes current: an outage until somebody repairs it by hand";
    card.check("a stray finishSecret promotes nothing that does not log in", outage, stray(bench)).await;
    card.check("testSecret refuses what was never set", outage, untested(bench)).await;
    let labels = "a late retry of an older rotation changes the password of a newer one";
    card.check("a token that was never pending is refused", labels, stranger(bench)).await;
    card.check("a token that lost AWSPENDING is refused", labels, dropped(bench)).await;
    card.check(
        "a rotation that was switched off is refused",
        "an operator who stops rotation cannot stop it",
        switched_off(bench),
    )
    .await;
    card.check(
        "a pending value that is there already is kept",
        "a retry sets a password that no version of the secret holds: locked out",
        kept(bench),
    )
    .await;
    card.check(
        "a pending value for another user is refused",
        "who may write the secret takes over other accounts",
        foreign(bench),
    )
    .await;
}

/// The steps to the end, and what must be so there.
async fn ends_well(scene: &Scene, token: &str) -> Judged {
    scene.world.steps(token).await.map_err(|error| format!("afterwards it does not end: {error}"))?;
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

async fn doubled(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    for step in Step::ALL {
        for _ in 0..2 {
            scene.step(&token, step).await?;
            scene.holds(&format!("after {}", step.name())).await?;
        }
    }
    promoted(&scene, &token).await
}

async fn again(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.rotate().await?;
    for step in Step::ALL {
        scene.step(&token, step).await?;
        scene.current_logs_in(&format!("after a second {}", step.name())).await?;
    }
    Ok(String::new())
}

async fn early(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    for step in [Step::SetSecret, Step::TestSecret] {
        if scene.step(&token, step).await.is_ok() {
            return Err(format!("{} succeeds where there is nothing pending", step.name()).into());
        }
        scene.current_logs_in(&format!("after {}", step.name())).await?;
    }
    ends_well(&scene, &token).await
}

async fn stray(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    // Whatever it answers: what counts is what is current.
    let _ = scene.step(&token, Step::FinishSecret).await;
    scene.current_logs_in("after a finishSecret before createSecret").await?;
    scene.step(&token, Step::CreateSecret).await?;
    let _ = scene.step(&token, Step::FinishSecret).await;
    scene.current_logs_in("after a finishSecret before setSecret").await?;
    ends_well(&scene, &token).await
}

async fn untested(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    scene.step(&token, Step::CreateSecret).await?;
    if scene.step(&token, Step::TestSecret).await.is_ok() {
        return Err("it succeeds".into());
    }
    ends_well(&scene, &token).await
}

async fn stranger(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    scene.rotate().await?;
    let value = scene.current()?;
    let other = "a-version-that-nobody-rotates-to-0001";
    let mut forged = value.clone();
    forged["password"] = json!(password());
    scene.world.lab.secrets().put(&scene.world.secret, other, &forged.to_string(), &["AWSOTHER"])?;
    refuses_all(&scene, other, &value).await
}

async fn dropped(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    scene.step(&token, Step::CreateSecret).await?;
    scene.world.lab.secrets().remove_label(&scene.world.secret, "AWSPENDING")?;
    let value = scene.current()?;
    refuses_all(&scene, &token, &value).await
}

async fn switched_off(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    scene.step(&token, Step::CreateSecret).await?;
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

async fn kept(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let token = scene.world.begin()?;
    scene.step(&token, Step::CreateSecret).await?;
    let pending = scene.world.labelled("AWSPENDING");
    scene.step(&token, Step::CreateSecret).await?;
    ends_well(&scene, &token).await?;
    match scene.world.labelled("AWSCURRENT") == pending {
        true => Ok(String::new()),
        false => Err("what became current is not what was pending first".into()),
    }
}

async fn foreign(bench: &Bench) -> Judged {
    let scene = bench.scene().await?;
    let (victim, first) = (bench.user(), password());
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
