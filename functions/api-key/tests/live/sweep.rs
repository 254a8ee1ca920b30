//! Kills the function before and after every call to Secrets Manager and every message to the service. The rotation must still
//! finish, AWSCURRENT must always work, and at the end only the keys in the secret are alive. This holds for every built-in
//! provider whose old key keeps working. With the others, exactly the documented exception happens.

use std::io;
use std::sync::Arc;

use lab::proxy::{Protocol, Proxy};
use lab::sweep::{self, Aftermath, Answer, Stage};
use lab::world::World;
use serde_json::{Value, json};

use super::issuer::Issuer;
use super::scene::{Scene, Setting};
use super::{builtin, oauth, own_keys};

const AT_ONCE: usize = 4;

/// A secret behind a proxy. It has been rotated once, so there is a previous key to revoke.
async fn stage(name: &'static str) -> io::Result<Stage> {
    let setting = builtin::setting(name);
    let field = setting.fields.0;
    let (scene, proxy) = behind_a_proxy(setting).await?;
    let first = scene.world.current()[field].as_str().unwrap().to_owned();
    scene.world.rotate().await.map_err(io::Error::other)?;
    let Scene { issuer, world, folder } = scene;
    // The folder must exist as long as the function.
    let (issuer, folder) = (Arc::new(issuer), Arc::new(folder));
    let (secrets, secret, service) = (world.lab.secrets(), world.secret.clone(), Arc::clone(&issuer));
    let epilogue = move || {
        let _kept = &folder;
        let key =
            |text: String| serde_json::from_str::<Value>(&text).unwrap()[field].as_str().unwrap().to_owned();
        let under = |label| secrets.value(&secret, label).map(key);
        let mut live = service.live();
        if builtin::leaves_the_first_key(name) {
            live.retain(|key| *key != first);
        }
        // An overtaken rotation's key under AWSPENDING may work or not. Nobody uses it.
        let pending = under("AWSPENDING");
        let used = [under("AWSCURRENT"), under("AWSPREVIOUS")];
        live.retain(|key| Some(key) != pending.as_ref() || used.contains(&pending));
        let mut held: Vec<String> = used.into_iter().flatten().collect();
        held.sort();
        let outcome = match live == held {
            true => Ok(()),
            false => Err(format!(
                "{} keys are alive, and {} of them are held under a label, of {}",
                live.len(),
                live.iter().filter(|key| held.contains(key)).count(),
                held.len()
            )),
        };
        Box::pin(async move { outcome }) as Answer<Result<(), String>>
    };
    Ok(Stage {
        world,
        proxy: Some(proxy),
        accepts: accepts(&issuer, field),
        overlaps: true,
        epilogue: Some(Arc::new(epilogue)),
    })
}

async fn behind_a_proxy(setting: Setting<'static>) -> io::Result<(Scene, Arc<Proxy>)> {
    let issuer = Issuer::start(setting.dialect).await;
    let proxy = Arc::new(Proxy::start(Protocol::Http, "127.0.0.1", issuer.port).await?);
    let scene = Scene::around(issuer, Setting { port: Some(proxy.port()), ..setting }).await;
    Ok((scene, proxy))
}

fn accepts(issuer: &Arc<Issuer>, field: &'static str) -> sweep::Accepts {
    let issuer = Arc::clone(issuer);
    Arc::new(move |value: Value| {
        let accepted = value[field].as_str().is_some_and(|key| issuer.store().of(key).is_some());
        Box::pin(async move { accepted }) as Answer<bool>
    })
}

async fn survives_a_cut_anywhere(name: &'static str) {
    sweep::check(name, move || stage(name), AT_ONCE).await.unwrap_or_else(|failures| panic!("{failures}"));
}

builtin::each_overlapping_provider!(survives_a_cut_anywhere);

/// Keys that the function makes are stored before they are put, so a cut leaves no other key behind either.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_put_survives_a_cut_anywhere() {
    async fn stage() -> io::Result<Stage> {
        let (scene, proxy) = own_keys::registry_scene_behind_a_proxy().await?;
        let admin = scene.issuer.store().keys[0].value.clone();
        let first = scene.world.current()["key"].as_str().unwrap().to_owned();
        scene.world.rotate().await.map_err(io::Error::other)?;
        let Scene { issuer, world, folder } = scene;
        let issuer = Arc::new(issuer);
        let (secrets, secret, service) = (world.lab.secrets(), world.secret.clone(), Arc::clone(&issuer));
        let epilogue = move || {
            let _kept = &folder;
            let key = |text: String| {
                serde_json::from_str::<Value>(&text).unwrap()["key"].as_str().unwrap().to_owned()
            };
            let labels = ["AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"];
            let mut held: Vec<String> =
                labels.iter().filter_map(|label| secrets.value(&secret, label)).map(key).collect();
            // Nothing proves whose key the first one is, because it was made by hand.
            held.extend([admin.clone(), first.clone()]);
            let stray = service.live().iter().filter(|key| !held.contains(key)).count();
            let outcome =
                if stray == 0 { Ok(()) } else { Err(format!("{stray} keys that nobody holds are alive")) };
            Box::pin(async move { outcome }) as Answer<Result<(), String>>
        };
        let accepts = accepts(&issuer, "key");
        Ok(Stage { world, proxy: Some(proxy), accepts, overlaps: true, epilogue: Some(Arc::new(epilogue)) })
    }
    sweep::check("keys that are put", stage, AT_ONCE).await.unwrap_or_else(|failures| panic!("{failures}"));
}

/// An access token and its grant.
async fn grant(dialect: super::issuer::Dialect) -> io::Result<Stage> {
    let (scene, proxy) = behind_a_proxy(oauth::setting(dialect)).await?;
    oauth::grant(&scene);
    scene.world.rotate().await.map_err(io::Error::other)?;
    let Scene { issuer, world, folder } = scene;
    let issuer = Arc::new(issuer);
    let accepts = accepts(&issuer, "access_token");
    let epilogue = move || {
        let _kept = (&folder, &issuer);
        Box::pin(async { Ok(()) }) as Answer<Result<(), String>>
    };
    Ok(Stage { world, proxy: Some(proxy), accepts, overlaps: true, epilogue: Some(Arc::new(epilogue)) })
}

/// Servers that give a used refresh token the same answer again for a while lose nothing at any cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_with_a_grace_period_survives_a_cut_anywhere() {
    let checked = sweep::check("oauth-refresh", || grant(oauth::graceful), AT_ONCE).await;
    checked.unwrap_or_else(|failures| panic!("{failures}"));
}

/// Strict servers lose the grant only if the process dies between the exchange and the Put. Even then AWSCURRENT keeps working,
/// and the error says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_strict_grant_is_lost_between_its_exchange_and_the_put_alone() {
    let recording = sweep::record(&|| grant(oauth::strict)).await.unwrap();
    let killed = recording.all().into_iter().filter(|case| case.aftermath == Aftermath::Killed);
    let report = sweep::run(|| grant(oauth::strict), killed.collect(), AT_ONCE, None).await;
    println!("outside the promise, oauth-refresh of a strict server: {report}");
    // DescribeSecret and the two reads come before the exchange, the Put right after it.
    let lossy = [
        "before call 4 of createSecret:",
        "after message 1 ToServer on connection 1 of createSecret:",
        "before message 1 ToClient on connection 1 of createSecret:",
        "after message 1 ToClient on connection 1 of createSecret:",
    ];
    for failure in &report.failures {
        assert!(lossy.iter().any(|cut| failure.contains(cut)), "{failure}");
        assert!(failure.contains("CredentialRejected") && failure.contains("authorise again"), "{failure}");
    }
    assert!(
        report.failures.iter().any(|failure| failure.contains("before call 4 of createSecret:")),
        "{report:?}"
    );
}

/// No service issues these keys. Consumers accept the keys of AWSCURRENT and AWSPREVIOUS, so only the labels matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_random_key_survives_a_cut_anywhere() {
    async fn stage() -> io::Result<Stage> {
        let world =
            World::new("rotate-api-key", &[], &json!({"provider": "random", "key": "the first"})).await?;
        world.rotate().await.map_err(io::Error::other)?;
        let (secrets, secret) = (world.lab.secrets(), world.secret.clone());
        let accepts = move |value: Value| {
            let held = ["AWSCURRENT", "AWSPREVIOUS"].map(|label| secrets.value(&secret, label));
            let parsed =
                held.into_iter().flatten().filter_map(|text| serde_json::from_str::<Value>(&text).ok());
            let accepted = parsed.into_iter().any(|known| known["key"] == value["key"]);
            Box::pin(async move { accepted }) as Answer<bool>
        };
        let (secrets, secret) = (world.lab.secrets(), world.secret.clone());
        let epilogue = move || {
            let value = |label| secrets.value(&secret, label);
            let apart = value("AWSPREVIOUS").is_some() && value("AWSCURRENT") != value("AWSPREVIOUS");
            let outcome = if apart { Ok(()) } else { Err("AWSPREVIOUS is not another key".to_owned()) };
            Box::pin(async move { outcome }) as Answer<Result<(), String>>
        };
        Ok(Stage {
            world,
            proxy: None,
            accepts: Arc::new(accepts),
            overlaps: true,
            epilogue: Some(Arc::new(epilogue)),
        })
    }
    sweep::check("random", stage, AT_ONCE).await.unwrap_or_else(|failures| panic!("{failures}"));
}
