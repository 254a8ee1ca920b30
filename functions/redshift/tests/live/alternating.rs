//! The strategy `alternating-users`, when nothing goes wrong.

use std::sync::Arc;

use lab::rotation::Step;
use lab::servers::{Deployment, Redshift, Tls};
use serde_json::json;

use super::app::{App, FIRST};

#[tokio::test(flavor = "multi_thread")]
async fn three_rotations_in_a_row_and_both_users_always_log_in() {
    let app = App::new().await;
    let world = app.pair_world().await;
    for user in [app.clone_name(), app.user.clone(), app.clone_name()] {
        let before = world.current();
        world.rotate().await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
        let after = world.current();
        assert_eq!(after["username"], user);
        assert!(app.accepts(&before).await && app.accepts(&after).await);
        assert_eq!(after["note"], json!({"kept": [1, 2.50]}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serverless_rotates_with_every_strategy() {
    let server = Arc::new(Redshift::start_as(Deployment::Serverless, Tls::Good).await.unwrap());
    for strategy in ["single-user", "admin", "alternating-users"] {
        let app = App::on(Arc::clone(&server)).await;
        let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        for _ in 0..3 {
            world.rotate().await.unwrap_or_else(|error| panic!("{strategy}: {error}"));
            assert!(app.accepts(&world.current()).await, "{strategy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alternate_can_be_logged_in_as_only_when_it_is_complete() {
    // AWS's functions for other databases promote a user without privileges after a lost connection (peer of MariaDB's).
    let app = App::new().await;
    app.execute(&format!("CREATE TABLE last_{0} (a int); GRANT SELECT ON last_{0} TO {0}", app.user)).await;
    let world = app.pair_world().await;
    world.rotate().await.unwrap();
    let queries = app.server.queries();
    let about: Vec<&String> =
        queries.iter().filter(|sql| sql.contains(&format!("\"{}\"", app.clone_name()))).collect();
    let made = about.iter().position(|sql| sql.starts_with("CREATE USER")).unwrap();
    let granted = about.iter().position(|sql| sql.starts_with("GRANT SELECT ON TABLE")).unwrap();
    let opened = about.iter().position(|sql| sql.contains("PASSWORD 'md5")).unwrap();
    assert!(about[made].contains("PASSWORD DISABLE") && made < granted && granted < opened, "{about:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_alternate_makes_the_original_can_use() {
    // With AWS's function the clone alone owns the object, and the next rotation ends in «permission denied».
    let app = App::new().await;
    let schema = format!("made_{}", app.user);
    app.execute(&format!("CREATE SCHEMA {schema}; GRANT USAGE, CREATE ON SCHEMA {schema} TO {}", app.user))
        .await;
    let world = app.pair_world().await;
    for (maker, table) in
        [("original", "one"), ("alternate", "two"), ("original", "three"), ("alternate", "four")]
    {
        let current = world.current();
        let text = |key: &str| current[key].as_str().unwrap().to_owned();
        let client = app.server.connect(&text("username"), &text("password"), "dev").await.unwrap();
        client.batch_execute(&format!("CREATE TABLE {schema}.{table} (a int)")).await.unwrap();
        world.rotate().await.unwrap();
        let current = world.current();
        let text = |key: &str| current[key].as_str().unwrap().to_owned();
        let client = app.server.connect(&text("username"), &text("password"), "dev").await.unwrap();
        let insert = format!("INSERT INTO {schema}.{table} SELECT 1; SELECT * FROM {schema}.{table}");
        client.batch_execute(&insert).await.unwrap_or_else(|error| panic!("{maker} made {table}: {error:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_taken_in_the_middle_of_a_rotation_stop_it() {
    let app = App::new().await;
    app.execute(&format!("CREATE TABLE taken_{0} (a int); GRANT SELECT ON taken_{0} TO {0}", app.user)).await;
    let world = app.pair_world().await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    app.execute(&format!("REVOKE SELECT ON taken_{0} FROM {0}_clone", app.user)).await;
    let error = world.step(&token, Step::TestSecret).await.unwrap_err().to_string();
    assert!(error.contains("may do less") && error.contains("GRANT SELECT ON TABLE"), "{error}");
    world.step(&token, Step::SetSecret).await.unwrap();
    world.step(&token, Step::TestSecret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn test_secret_works_on_its_own() {
    // With RotateImmediately=false, RotateSecret calls no other step, and pending is a copy of the current value.
    let app = App::new().await;
    let world = app.pair_world().await;
    world.rotate().await.unwrap();
    app.execute(&format!("GRANT CREATE ON DATABASE dev TO {}", app.user)).await;
    let token = world.begin().unwrap();
    world.put(&token, &world.current(), "AWSPENDING").unwrap();
    world.step(&token, Step::TestSecret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_aws_has_made_goes_on_and_gets_what_it_lacks() {
    let app = App::new().await;
    let (user, other) = (app.user.clone(), app.clone_name());
    app.execute(&format!(
        "CREATE USER {other} PASSWORD '{FIRST}'; CREATE GROUP g_{user} WITH USER {user}; CREATE TABLE t_{user} (a int);
         GRANT SELECT ON t_{user} TO GROUP g_{user}"
    ))
    .await;
    let world = app.pair_world().await;
    let mut second = world.current();
    second["username"] = other.as_str().into();
    let token = "00000000-0000-4000-8000-000000000002";
    world.put(token, &second, "AWSCURRENT").unwrap();
    for expected in [&user, &other] {
        world.rotate().await.unwrap();
        assert_eq!(world.current()["username"], expected.as_str());
    }
    let current = world.current();
    let client = app.server.connect(&other, current["password"].as_str().unwrap(), "dev").await.unwrap();
    client.batch_execute(&format!("SELECT * FROM t_{user}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_the_secret_names_is_never_made_less_unless_it_says_so() {
    for (sync, expected) in
        [(None, vec!["INSERT", "SELECT"]), (Some("exact"), vec!["SELECT"]), (Some("none"), vec!["INSERT"])]
    {
        let app = App::new().await;
        let (user, other) = (app.user.clone(), format!("{}_b", app.user));
        app.execute(&format!(
            "CREATE USER {other} PASSWORD '{FIRST}'; CREATE TABLE t_{user} (a int);
             GRANT SELECT ON t_{user} TO {user}; GRANT INSERT ON t_{user} TO {other}"
        ))
        .await;
        let world = app.pair_world_with(&[], |secret| {
            secret["alternate_username"] = other.as_str().into();
            if let Some(sync) = sync {
                secret["sync"] = sync.into();
            }
        });
        let world = world.await;
        // A version of the secret logs in as the other user, which proves that user.
        let mut second = world.current();
        second["username"] = other.as_str().into();
        second["original_username"] = user.as_str().into();
        let mut first = world.current();
        first["original_username"] = user.as_str().into();
        for (n, value) in [second, first].iter().enumerate() {
            let token = format!("00000000-0000-4000-8000-00000000000{n}");
            world.put(&token, value, "AWSCURRENT").unwrap();
        }
        world.rotate().await.unwrap_or_else(|error| panic!("{sync:?}: {error}"));
        let sql = format!(
            "SELECT privilege_type FROM svv_relation_privileges WHERE identity_name = '{other}' ORDER BY 1"
        );
        assert_eq!(app.column(&sql).await, expected, "{sync:?}");
    }
}
