//! Who is at the other end: servers with a wrong certificate or without TLS must not get a password.

use std::sync::Arc;

use lab::servers::Tls;

use super::bench::{Bench, Way};
use super::card::Card;
use super::flaw::{Flaw, Judged};
use super::server::Server;

/// The secret asks for TLS.
const DEMANDED: Way = Way { port: None, ssl: Some(true) };
/// The secret does not say.
const UNSAID: Way = Way { port: None, ssl: None };

pub(super) async fn judge(bench: &Bench, card: &mut Card<'_>) {
    card.part("who is at the other end");
    card.check("it rotates over TLS", "the password travels in clear text", verified(bench)).await;
    let stolen = "whoever stands between function and server gets both passwords";
    for (tls, check) in [
        (Tls::WrongName, "a certificate for another host is refused"),
        (Tls::Expired, "a certificate that has run out is refused"),
        (Tls::UnknownAuthority, "a certificate of an unknown authority is refused"),
        (Tls::Off, "a server without TLS is refused where TLS is demanded"),
    ] {
        card.check(check, stolen, refused(bench, tls)).await;
    }
    card.check(
        "no clear text where the secret does not say",
        "a server that claims to speak no TLS gets both passwords: nobody asked for clear text",
        silent(bench),
    )
    .await;
}

/// Goes through the same kind of proxy as the checks below, so a proxy that sees no login there has shown here that it can see one.
async fn verified(bench: &Bench) -> Judged {
    let proxy = bench.proxy_of(&bench.server).await?;
    let scene = bench.scene_on(&bench.server, Way { port: Some(proxy.port()), ..DEMANDED }).await?;
    scene.rotate().await?;
    scene.current_logs_in("afterwards").await?;
    match proxy.logins_sent() {
        0 => Err(Flaw::Unclear("the proxy sees no login in a rotation over TLS".to_owned())),
        _ => Ok(String::new()),
    }
}

/// A refusal says something only of a function that can speak TLS.
async fn refused(bench: &Bench, tls: Tls) -> Judged {
    if verified(bench).await.is_err() {
        let why = "it does not rotate with a good certificate either (see --ca-file)";
        return Err(Flaw::Unclear(why.to_owned()));
    }
    attempt(bench, tls, DEMANDED).await
}

async fn silent(bench: &Bench) -> Judged {
    attempt(bench, Tls::Off, UNSAID).await
}

/// A proxy opens the server's TLS, so it sees whether the function says who it is after it has seen the certificate.
async fn attempt(bench: &Bench, tls: Tls, way: Way) -> Judged {
    let server = Arc::new(Server::start(bench.engine, tls).await?);
    let proxy = bench.proxy_of(&server).await?;
    let scene = bench.scene_on(&server, Way { port: Some(proxy.port()), ..way }).await?;
    let before = scene.current()?;
    if scene.world.rotate().await.is_ok() {
        return Err("it rotates".into());
    }
    // A login, accepted or refused, has shown the server what it wanted to see.
    if proxy.logins_sent() > 0 {
        return Err("it sends a login".into());
    }
    match scene.current()? == before && server.accepts(&before).await? {
        true => Ok(String::new()),
        false => Err("it fails, but has changed something before".into()),
    }
}
