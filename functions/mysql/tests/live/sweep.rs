//! Kills the function before and after every call and message. The rotation must still finish, and a stored password must log in.

use std::sync::Arc;

use lab::proxy::{Protocol, Proxy};
use lab::servers::{MySql, Release};
use lab::sweep::{self, Stage};
use lab::world::World;

use serde_json::{Value, json};

use super::app::{App, FIRST, account};

/// A new account on a shared server, behind a proxy that can read the traffic.
async fn stage(release: Release, strategy: &'static str) -> std::io::Result<Stage> {
    let server = MySql::release(release).setting("max_connections", "300").shared_for(100).await?;
    let app = Arc::new(App::on(server).await);
    app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await?;
    let proxy = Arc::new(Proxy::start(Protocol::MySql, "127.0.0.1", app.server.port()).await?);
    let port = proxy.port();
    let through = |secret: &mut Value| {
        secret["port"] = port.into();
        secret["ssl"] = json!(false);
    };
    let world = app.world_of(
        strategy,
        &[],
        |secret| {
            through(secret);
            if strategy == "admin" {
                secret["hosts"] = json!(["10.0.%", "%"]);
            }
        },
        through,
    );
    let world = world.await;
    if strategy == "admin" {
        elsewhere(&app, &world).await?;
    }
    let (counted, clones) = (Arc::clone(&app), strategy == "alternating-users");
    let accepts = move |value: Value| {
        let app = Arc::clone(&app);
        Box::pin(async move { app.accepts(&value).await }) as sweep::Answer<bool>
    };
    // An alternate that can log in must be complete. AWS's function would promote one without its privileges.
    let epilogue = move || {
        let app = Arc::clone(&counted);
        Box::pin(async move {
            let exists = app.server.query(&format!("SHOW GRANTS FOR {}", app.clone_account())).await;
            match exists {
                Ok(rows)
                    if rows.iter().flatten().flatten().any(|line| line.contains("GRANT PROCESS ON *.*")) =>
                {
                    Ok(())
                }
                Ok(rows) => Err(format!("the alternate is not complete: {rows:?}")),
                Err(error) => Err(error.to_string()),
            }
        }) as sweep::Answer<Result<(), String>>
    };
    let overlaps = ["alternating-users", "dual-password"].contains(&strategy);
    let epilogue = clones.then(|| Arc::new(epilogue) as sweep::Epilogue);
    Ok(Stage { world, proxy: Some(proxy), accepts: Arc::new(accepts), overlaps, epilogue })
}

/// The same user with another host part, which also belongs to the secret: by its password on MariaDB, by the mark on MySQL.
async fn elsewhere(app: &App, world: &World) -> std::io::Result<()> {
    let other = account(&app.user, "10.0.%");
    app.server.execute(&format!("CREATE USER {other} IDENTIFIED BY '{FIRST}'")).await?;
    if !app.is_mariadb() {
        let arn = world.lab.secrets().arn(&world.secret).map_err(std::io::Error::other)?;
        app.server.execute(&format!("ALTER USER {other} ATTRIBUTE '{{\"turnlock\": \"{arn}\"}}'")).await?;
    }
    Ok(())
}

async fn survives(release: Release, strategy: &'static str) {
    let swept = sweep::check(&format!("{strategy} on {release}"), move || stage(release, strategy), 6).await;
    swept.unwrap_or_else(|failures| panic!("{failures}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn single_user_survives_a_cut_anywhere() {
    for release in MySql::releases().await.unwrap() {
        survives(release, "single-user").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_survives_a_cut_anywhere() {
    for release in MySql::releases().await.unwrap() {
        survives(release, "admin").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alternating_users_survive_a_cut_anywhere() {
    for release in MySql::releases().await.unwrap() {
        survives(release, "alternating-users").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dual_password_survives_a_cut_anywhere() {
    for release in MySql::releases().await.unwrap() {
        survives(release, "dual-password").await;
    }
}
