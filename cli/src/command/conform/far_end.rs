//! Who is at the other end: servers with a wrong certificate or without TLS must not get a password.

use lab::servers::Tls;

use super::asked::Shared;
use super::check::Check;
use super::flaw::{Flaw, Judged};
use super::trial::{Trial, Way};

/// The name of this part.
const PART: &str = "the server at the other end";

/// The secret asks for TLS.
const DEMANDED: Way = Way { port: None, ssl: Some(true) };
/// The secret does not say.
const UNSAID: Way = Way { port: None, ssl: None };

const STOLEN: &str = "an attacker between function and server gets both passwords";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(PART, "it rotates over TLS", "the password travels in clear text", |trial| {
            Box::pin(async move { verified(&trial).await })
        }),
        Check::new(PART, "a certificate for another host is refused", STOLEN, |trial| {
            Box::pin(refused(trial, Tls::WrongName))
        }),
        Check::new(PART, "a certificate that has run out is refused", STOLEN, |trial| {
            Box::pin(refused(trial, Tls::Expired))
        }),
        Check::new(PART, "a certificate of an unknown authority is refused", STOLEN, |trial| {
            Box::pin(refused(trial, Tls::UnknownAuthority))
        }),
        Check::new(PART, "a server without TLS is refused where TLS is demanded", STOLEN, |trial| {
            Box::pin(refused(trial, Tls::Off))
        }),
        Check::new(
            PART,
            "no clear text where the secret does not say",
            "a server that claims to speak no TLS gets both passwords: nobody asked for clear text",
            |trial| Box::pin(async move { attempt(&trial, Tls::Off, UNSAID).await }),
        ),
    ]
}

/// Goes through the same kind of proxy as the checks below, so a proxy that sees no login there has shown here that it can see one.
async fn verified(trial: &Trial) -> Judged {
    let (proxy, scene) = trial.scene_behind(&trial.bench.server, DEMANDED).await?;
    let rotated = scene.rotate().await;
    // Whatever became of the rotation, the password was there for all to read.
    match proxy.logins_in_clear_text() {
        0 => rotated?,
        count => return Err(format!("{count} logins are in clear text").into()),
    };
    scene.current_logs_in("afterwards").await?;
    match proxy.logins_sent() {
        0 => Err(Flaw::Unclear("the proxy sees no login in a rotation over TLS".into())),
        _ => Ok(String::new()),
    }
}

/// A refusal says something only of a function that can speak TLS.
async fn refused(trial: Shared<Trial>, tls: Tls) -> Judged {
    let judged = attempt(&trial, tls, DEMANDED).await?;
    match verified(&Trial::unnamed(&trial.bench)).await {
        Ok(_) => Ok(judged),
        Err(flaw) => Err(Flaw::Unclear(format!(
            "it does not rotate with a good certificate either (see --ca-file): {}",
            flaw.why()
        ))),
    }
}

/// A proxy opens the server's TLS, so it sees whether the function says who it is after it has seen the certificate.
async fn attempt(trial: &Trial, tls: Tls, way: Way) -> Judged {
    let server = trial.bench.server_with(tls).await?;
    let (proxy, scene) = trial.scene_behind(&server, way).await?;
    let before = scene.current()?;
    let rotated = scene.world.rotate().await.is_ok();
    // A login, accepted or refused, has shown the server what it wanted to see.
    if proxy.logins_sent() > 0 {
        return Err(if rotated { "it rotates" } else { "it sends a login" }.into());
    }
    if scene.current()? != before || !server.accepts(&before).await? {
        return Err("it sends no login, but has changed something".into());
    }
    match (proxy.connections(), rotated) {
        (0, _) => Err(Flaw::Unclear("it does not connect to the server".into())),
        (_, true) => Err("it sends no login, and says that it rotates".into()),
        (_, false) => Ok(String::new()),
    }
}
