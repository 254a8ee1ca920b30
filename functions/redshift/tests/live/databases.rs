//! Many databases: several are gone through at a time, and an error in one of them stops the promotion.

use std::sync::Arc;

use lab::proxy::{Direction, Place, Point, Protocol, Proxy};
use lab::rotation::Step;
use lab::servers::{Redshift, Tls};
use lab::world::World;
use serde_json::json;

use super::app::{ADMIN_SECRET, App};

/// A user with a privilege in each of these databases of a cluster of its own.
async fn in_databases(tls: Tls, databases: &[&str]) -> App {
    let app = App::on(Arc::new(Redshift::start(tls).await.expect("the stand-in starts"))).await;
    let made = format!(
        "CREATE TABLE t (a int); GRANT SELECT ON t TO {0}; GRANT CREATE ON SCHEMA public TO {0}",
        app.user
    );
    app.execute(&made).await;
    for database in databases {
        app.execute(&format!("CREATE DATABASE {database}")).await;
        app.server.execute_in(database, &made).await.unwrap_or_else(|error| panic!("{error}"));
    }
    app
}

/// The steps up to the one before this one.
async fn up_to(world: &World, step: Step) -> String {
    let token = world.begin().expect("a rotation begins");
    for before in Step::ALL.into_iter().take_while(|before| *before != step) {
        world.step(&token, before).await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    }
    token
}

/// What PostgreSQL runs to spoil the database `broken`, in which database it runs it, and what the error then says.
const BROKEN: &[(&str, &str, &[&str])] = &[
    (
        "postgres",
        "ALTER DATABASE broken ALLOW_CONNECTIONS false",
        &["ServerRefused: ", "not currently accepting connections", "let the admin log in to this database"],
    ),
    (
        "broken",
        "ALTER VIEW pg_catalog.svv_schema_privileges RENAME TO intact; CREATE VIEW pg_catalog.svv_schema_privileges AS
         SELECT namespace_name, privilege_type, (standin.refuse('XX000', 'internal error on the leader node') IS NULL)::text
         AS identity_name, 'user' AS identity_type, admin_option, privilege_scope FROM intact",
        &["Unreachable: ", "XX000: internal error on the leader node", "look at its state"],
    ),
    (
        "broken",
        "ALTER VIEW pg_catalog.svv_schema_privileges RENAME TO intact; CREATE VIEW pg_catalog.svv_schema_privileges AS
         SELECT namespace_name, privilege_type, (standin.refuse('57014', 'canceling statement due to statement timeout') IS NULL)::text
         AS identity_name, 'user' AS identity_type, admin_option, privilege_scope FROM intact",
        &["Conflict: ", "57014: canceling statement", "Secrets Manager tries again"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_read_stops_the_promotion_and_is_named() {
    for (database, sql, parts) in BROKEN {
        for step in [Step::SetSecret, Step::TestSecret] {
            let app = in_databases(Tls::Good, &["broken", "whole"]).await;
            let world = app.pair_world().await;
            let token = up_to(&world, step).await;
            app.server.execute_behind(database, sql).await.unwrap();
            let error = world.step(&token, step).await.unwrap_err().to_string();
            for part in parts.iter().chain(&["in the database \"broken\""]) {
                assert!(error.contains(part), "{step:?}: no {part:?} in {error}");
            }
            assert!(app.accepts(&world.current()).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_fails_inside_the_cluster_stops_the_promotion() {
    // What stands for ownership may be refused. An internal error is no refusal.
    let app = in_databases(Tls::Good, &["broken"]).await;
    app.server.execute_in("broken", &format!("ALTER TABLE t OWNER TO {}", app.user)).await.unwrap();
    let trap = "CREATE FUNCTION standin.trap() RETURNS event_trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'internal error'; END $$;
         CREATE EVENT TRIGGER trap ON ddl_command_start WHEN TAG IN ('GRANT') EXECUTE FUNCTION standin.trap()";
    app.server.execute_behind("broken", trap).await.unwrap();
    let world = app.pair_world().await;
    world.fails(&["setSecret: Unreachable:", "XX000: internal error", "in the database \"broken\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_dropped_meanwhile_is_left_out_and_said() {
    let app = in_databases(Tls::Good, &["whole"]).await;
    // The first list has a database that the second one has not.
    let lists = "CREATE SEQUENCE standin.lists; GRANT USAGE ON SEQUENCE standin.lists TO PUBLIC;
         CREATE OR REPLACE VIEW pg_catalog.svv_redshift_databases AS
         SELECT d.datname::text AS database_name, 1 AS database_owner, 'local' AS database_type, NULL::text AS database_acl,
         NULL::text AS database_options FROM pg_database d WHERE d.datname IN ('dev', 'whole')
         UNION ALL SELECT 'dropped', 1, 'local', NULL, NULL FROM (SELECT nextval('standin.lists') AS n) l WHERE l.n = 1";
    app.server.execute_behind("dev", lists).await.unwrap();
    let world = app.pair_world().await;
    world.rotate().await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
    let output = world.output();
    let said = output.lines().filter(|line| line.contains("was dropped meanwhile")).collect::<Vec<_>>();
    assert!(said.len() == 1 && said[0].contains("dropped\""), "{output}");
    let held = format!("SELECT 1 FROM svv_relation_privileges WHERE identity_name = '{}'", app.clone_name());
    assert_eq!(app.server.query_in("whole", &held).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_databases_are_open_at_a_time() {
    let app = in_databases(Tls::Off, &["db1", "db2", "db3", "db4", "db5", "db6"]).await;
    let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1", app.server.port()).await.unwrap();
    let through = |secret: &mut serde_json::Value| {
        secret["port"] = proxy.port().into();
        secret["ssl"] = json!(false);
    };
    let world = app.world_with(&[], |secret| {
        through(secret);
        secret["masterarn"] = ADMIN_SECRET.into();
    });
    let world = world.await;
    let mut admin = app.admin_secret();
    through(&mut admin);
    world.lab.secrets().create(ADMIN_SECRET, &admin.to_string()).unwrap();
    let token = up_to(&world, Step::TestSecret).await;
    proxy.clear();
    // testSecret logs in as the pending user, then as the admin, and then as the admin in one database after another. A login that is
    // held keeps its place, so one at a time would never come to the second.
    let startup = |conversation| Place { conversation, direction: Direction::ToServer, number: 1 };
    let mut held: Vec<_> = (3..=6).map(|login| proxy.hold(Point::before(startup(login)))).collect();
    let step = world.step(&token, Step::TestSecret);
    let all_held = async {
        for held in &mut held {
            held.reached().await;
        }
        proxy.messages().iter().map(|message| message.place.conversation).max()
    };
    tokio::pin!(step);
    tokio::select! {
        ended = &mut step => panic!("fewer than four were open: {ended:?}"),
        open = all_held => assert_eq!(open, Some(6), "more than four were open"),
    }
    held.into_iter().for_each(lab::proxy::Held::release);
    step.await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
}
