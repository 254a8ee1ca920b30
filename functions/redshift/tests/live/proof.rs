//! testSecret asks the server, as the alternate, whether it may do what the original may. Nothing that is asked for is run.

use std::sync::Arc;

use lab::rotation::Step;
use lab::servers::{Redshift, Tls};
use lab::world::World;

use super::app::App;

/// The steps before testSecret.
async fn ready(world: &World) -> String {
    let token = world.begin().expect("a rotation begins");
    for step in [Step::CreateSecret, Step::SetSecret] {
        world.step(&token, step).await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    }
    token
}

/// The log line about the proofs.
fn line(world: &World) -> String {
    let output = world.output();
    let line = output.lines().rfind(|line| line.contains("asked the server for privileges"));
    line.unwrap_or_else(|| panic!("no line in {output}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_privilege_that_the_views_list_and_the_server_refuses_stops_the_promotion() {
    for database in ["dev", "second"] {
        let app = App::on(Arc::new(Redshift::start(Tls::Good).await.unwrap())).await;
        let (u, clone) = (app.user.clone(), app.clone_name());
        app.execute("CREATE DATABASE second").await;
        app.execute(&format!("CREATE GROUP g WITH USER {u}")).await;
        let made = format!(
            "CREATE SCHEMA s; CREATE TABLE s.t (a int); GRANT USAGE ON SCHEMA s TO GROUP g; GRANT SELECT ON s.t TO {u}"
        );
        app.server.execute_in(database, &made).await.unwrap();
        let world = app.pair_world().await;
        let token = ready(&world).await;
        // Both users are members of the group, and one of them has nothing from it. No view shows that.
        let inherit = async |whether: &str| {
            let sql = format!("GRANT \"grp:g\" TO {clone} WITH INHERIT {whether}");
            app.server.execute_behind("postgres", &sql).await.unwrap();
        };
        inherit("FALSE").await;
        let error = world.step(&token, Step::TestSecret).await.unwrap_err().to_string();
        for part in [
            "ServerRefused: ",
            "refuses to",
            "SELECT * FROM \"s\".\"t\"",
            &format!("in the database \"{database}\""),
        ] {
            assert!(error.contains(part), "no {part:?} in {error}");
        }
        assert_eq!(world.current()["username"], u.as_str());
        inherit("TRUE").await;
        world.step(&token, Step::TestSecret).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_both_users_meet_stops_nothing() {
    let app = App::new().await;
    let u = &app.user;
    app.execute(&format!(
        "CREATE SCHEMA closed_{u}; CREATE TABLE closed_{u}.t (a int); GRANT SELECT, INSERT ON closed_{u}.t TO {u};
         CREATE TABLE open_{u} (a int); GRANT SELECT ON open_{u} TO {u}"
    ))
    .await;
    let world = app.pair_world().await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    assert!(line(&world).contains("\"of\":3,\"proven\":1,\"refused_to_both\":2"), "{}", line(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_proven_and_nothing_is_run() {
    let app = App::new().await;
    let u = &app.user;
    app.execute(&format!(
        "SET enable_case_sensitive_identifier TO true; CREATE TABLE \"Whole {u}\" (\"A;\"\"\" int, b varchar); INSERT INTO \"Whole {u}\" SELECT 1, 'x';
         GRANT ALL ON \"Whole {u}\" TO {u}; CREATE TABLE parts_{u} (a int, b int, c int); GRANT SELECT (a, b), UPDATE (c) ON parts_{u} TO {u};
         CREATE PROCEDURE p_{u}() AS $$ BEGIN RAISE EXCEPTION 'it was called'; END $$ LANGUAGE plpgsql;
         GRANT EXECUTE ON PROCEDURE p_{u}() TO {u}; CREATE TABLE own_{u} (a int); ALTER TABLE own_{u} OWNER TO {u}"
    ))
    .await;
    let world = app.pair_world().await;
    let token = ready(&world).await;
    let before = app.server.queries().len();
    world.step(&token, Step::TestSecret).await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    // Four on the whole table, two on columns, four on the table that the original owns.
    assert!(line(&world).contains("\"of\":10,\"proven\":10"), "{}", line(&world));
    let queries = app.server.queries();
    let about: Vec<&String> =
        queries[before..].iter().filter(|sql| sql.contains(&format!("Whole {u}"))).collect();
    for sql in &about {
        let statements: Vec<&str> = sql.split("; ").filter(|part| part.contains(" WHERE false")).collect();
        assert!(statements.iter().all(|statement| statement.starts_with("EXPLAIN ")), "{sql}");
        for word in ["TRUNCATE ", "CALL ", "ALTER TABLE", "DROP TABLE"] {
            assert!(!sql.contains(word), "{sql}");
        }
    }
    assert!(!about.is_empty(), "{queries:#?}");
    let rows = format!("SET enable_case_sensitive_identifier TO true; SELECT b FROM \"Whole {u}\"");
    assert_eq!(app.column(&rows).await, ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_has_locked_is_left_to_the_comparison() {
    let app = App::new().await;
    let u = &app.user;
    app.execute(&format!("CREATE TABLE held_{u} (a int); GRANT SELECT, DELETE ON held_{u} TO {u}")).await;
    let world = app.pair_world().await;
    let token = ready(&world).await;
    let load = app.server.connect(app.server.admin(), app.server.admin_password(), "dev").await.unwrap();
    load.batch_execute(&format!("BEGIN; LOCK TABLE held_{u}")).await.unwrap();
    world.step(&token, Step::TestSecret).await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    let line = line(&world);
    assert!(line.contains("\"of\":2,\"proven\":0") && line.contains("57014"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_have_one_session_only_still_rotates() {
    let app = App::on(Arc::new(Redshift::start(Tls::Good).await.unwrap())).await;
    app.execute("CREATE DATABASE second").await;
    app.execute(&format!("ALTER USER {} CONNECTION LIMIT 1", app.user)).await;
    let made = format!("CREATE TABLE t (a int); GRANT SELECT ON t TO {}", app.user);
    for database in ["dev", "second"] {
        app.server.execute_in(database, &made).await.unwrap();
    }
    let world = app.pair_world().await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    let line = line(&world);
    assert!(line.contains("\"of\":2,\"proven\":1") && line.contains("CONNECTION LIMIT"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_that_no_view_lists_are_copied_and_compared() {
    let app = App::new().await;
    let (u, clone) = (app.user.clone(), app.clone_name());
    app.execute(&format!(
        "CREATE SCHEMA s_{u}; CREATE TABLE s_{u}.t (a int); GRANT ALTER, TRUNCATE ON s_{u}.t TO {u}; GRANT DROP ON SCHEMA s_{u} TO {u}"
    ))
    .await;
    let held = async |user: &str| {
        let mut held = Vec::new();
        for row in app.server.query(&format!("SHOW GRANTS FOR {user}")).await.unwrap() {
            held.push(format!("{} {}", row[3].as_deref().unwrap(), row[4].as_deref().unwrap()));
        }
        held.sort();
        held
    };
    let world = app.pair_world().await;
    let token = ready(&world).await;
    assert_eq!(held(&clone).await, ["SCHEMA DROP", "TABLE ALTER", "TABLE TRUNCATE"]);
    app.execute(&format!(
        "REVOKE TRUNCATE ON s_{u}.t FROM {clone}; REVOKE DROP ON SCHEMA s_{u} FROM {clone}"
    ))
    .await;
    let error = world.step(&token, Step::TestSecret).await.unwrap_err().to_string();
    for part in ["may do less", "GRANT TRUNCATE ON TABLE", "GRANT DROP ON SCHEMA"] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    world.step(&token, Step::SetSecret).await.unwrap();
    world.step(&token, Step::TestSecret).await.unwrap();
    world.step(&token, Step::FinishSecret).await.unwrap();
    // What the original loses goes from the alternate too.
    world.rotate().await.unwrap();
    app.execute(&format!("REVOKE ALTER ON s_{u}.t FROM {u}")).await;
    world.rotate().await.unwrap();
    assert_eq!(held(&clone).await, ["SCHEMA DROP", "TABLE TRUNCATE"]);
}
