//! Killed before and after every call to Secrets Manager and every message to the service, the rotation converges, AWSCURRENT
//! works at every instant, and at the end no key is alive that the secret does not hold.

use std::sync::Arc;

use lab::proxy::{Protocol, Proxy};
use lab::sweep::{self, Answer, Stage};

use super::issuer::Issuer;
use super::plain_dialect;
use super::scene::{Scene, Setting};

/// A secret that has been rotated once, so that there is a previous key to revoke.
async fn stage() -> std::io::Result<Stage> {
    let issuer = Issuer::start(plain_dialect::http).await;
    let proxy = Arc::new(Proxy::start(Protocol::Opaque, "127.0.0.1", issuer.port).await?);
    let scene = Scene::around(issuer, Setting { port: Some(proxy.port()), ..Setting::default() }).await;
    scene.world.rotate().await.map_err(std::io::Error::other)?;
    let Scene { issuer, world, folder } = scene;
    // The folder has to outlive the function.
    let (issuer, folder) = (Arc::new(issuer), Arc::new(folder));
    let (asked, secrets, name) = (Arc::clone(&issuer), world.lab.secrets(), world.secret.clone());
    let accepts = move |value: serde_json::Value| {
        let accepted = value["key"].as_str().is_some_and(|key| asked.store().of(key).is_some());
        Box::pin(async move { accepted }) as Answer<bool>
    };
    let epilogue = move || {
        let _kept = &folder;
        let key = |text: String| {
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["key"].as_str().unwrap().to_owned()
        };
        let versions = secrets.versions(&name).unwrap();
        let held: Vec<String> =
            versions.iter().filter_map(|version| secrets.value_of(&name, &version.id)).map(key).collect();
        let live = issuer.live();
        let outcome = match live.iter().find(|key| !held.contains(key)) {
            Some(_) => {
                Err(format!("{} keys are alive, and one of them is in no version of the secret", live.len()))
            }
            None if live.len() > 3 => Err(format!("{} keys are alive", live.len())),
            None => Ok(()),
        };
        Box::pin(async move { outcome }) as Answer<Result<(), String>>
    };
    Ok(Stage {
        world,
        proxy: Some(proxy),
        accepts: Arc::new(accepts),
        overlaps: true,
        epilogue: Some(Arc::new(epilogue)),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_anywhere_leaves_no_key_behind() {
    let recording = sweep::record(&stage).await.unwrap();
    let seed = std::env::var("TURNLOCK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("TURNLOCK_SEED={seed}");
    let cases = match std::env::var("TURNLOCK_SWEEP").as_deref() {
        Ok("all") => recording.all(),
        _ => recording.sample(60, seed),
    };
    let report = sweep::run(stage, cases, 4).await;
    println!("{recording:?}: {} cases in {:.1} s", report.cases, report.took.as_secs_f64());
    assert!(
        report.failures.is_empty(),
        "{} of {}:\n{}",
        report.failures.len(),
        report.cases,
        report.failures.join("\n")
    );
}
