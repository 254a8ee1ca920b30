//! Valid but awkward user names.

use lab::servers::MySql;
use serde_json::json;

use super::app::App;

const NAMES: &[&str] = &[
    "UPPER",
    "with space",
    "quo\"te",
    "apo'strophe",
    "back\\slash",
    "back`tick",
    "per%cent",
    "under_score",
    "at@home",
    "semi;colon",
    "drop user; --",
    "Ünïcödé",
    "用户",
    "$1",
    "a=b",
    "TO 'x'@'%'",
];

#[tokio::test(flavor = "multi_thread")]
async fn odd_user_names_rotate_with_every_strategy() {
    for release in MySql::releases().await.unwrap() {
        let server = MySql::shared(release).await.unwrap();
        for name in NAMES {
            for strategy in ["single-user", "alternating-users"] {
                let app = App::named(server.clone(), name, "%").await;
                app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await.unwrap();
                let world = app.world_as(strategy, |_| ()).await;
                for _ in 0..2 {
                    world
                        .rotate()
                        .await
                        .unwrap_or_else(|error| panic!("{release} {strategy} {name:?}: {error}"));
                }
                assert!(app.accepts(&world.current()).await, "{name:?}");
                app.server.execute(&format!("DROP USER {}", app.account())).await.unwrap();
                app.server.execute(&format!("DROP USER IF EXISTS {}", app.clone_account())).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_exists_at_another_host_part_than_any_rotates() {
    // AWS's function knows only the host part '%', and fails with error 1141 on every try.
    for release in MySql::releases().await.unwrap() {
        let server = MySql::shared(release).await.unwrap();
        for (number, host) in ["localhost", "l%host", "loc_lhost"].iter().enumerate() {
            let app = App::named(server.clone(), &format!("hosted_{number}"), host).await;
            app.server.execute(&format!("GRANT PROCESS ON *.* TO {}", app.account())).await.unwrap();
            let world = app.world_as("alternating-users", |_| ()).await;
            world.rotate().await.unwrap_or_else(|error| panic!("{release} {host}: {error}"));
            assert!(app.accepts(&world.current()).await, "{host}");
            let found = app.server.query(&format!("SHOW GRANTS FOR {}", app.clone_account())).await.unwrap();
            assert!(found[0][0].as_ref().unwrap().contains("PROCESS"), "{found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_too_long_is_refused_before_anything_is_made() {
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let limit = if app.is_mariadb() { 80 } else { 32 };
        for (name, env) in
            [("x".repeat(limit - 5), None), ("ü".repeat(11), Some("16")), ("x".repeat(limit + 1), None)]
        {
            let variables: Vec<_> =
                env.map(|limit| ("USERNAME_CHARACTER_LIMIT", limit)).into_iter().collect();
            let world = app.world_with(&variables, |secret| {
                secret["username"] = name.as_str().into();
                secret["masterarn"] = json!("prod/admin");
            });
            let error = world.await.rotate().await.unwrap_err();
            assert!(error.starts_with("createSecret: BadSecret:") && error.contains("characters"), "{error}");
        }
        // The limit counts characters, not bytes.
        let world = app.world_with(&[], |secret| {
            secret["username"] = "ü".repeat(limit - 6).into();
            secret["masterarn"] = json!("prod/admin");
        });
        let error = world.await.rotate().await.unwrap_err();
        assert!(!error.starts_with("createSecret"), "{error}");
    }
}
