//! The server that is changed has to be the writer: an admin may be exempt from what keeps a replica read-only.

use std::sync::Arc;
use std::time::Duration;

use lab::rotation::Step;
use lab::servers::{Flavor, MySql, Release};
use serde_json::json;
use tokio::net::TcpListener;

use super::app::{App, FIRST};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_not_changed_although_the_admin_could() {
    for release in MySql::releases().await.unwrap() {
        let server: Arc<MySql> = MySql::release(release).start().await.unwrap().into();
        let variables: &[&str] = match release.flavor {
            Flavor::MariaDb => &["read_only"],
            Flavor::MySql => &["read_only", "super_read_only"],
        };
        for (strategy, variable) in ["admin", "alternating-users", "dual-password"]
            .into_iter()
            .flat_map(|strategy| variables.iter().map(move |variable| (strategy, variable)))
        {
            let case = format!("{release} {strategy} {variable}");
            let app = App::on(Arc::clone(&server)).await;
            let world = app.world_as(strategy, |_| ()).await;
            app.server.execute(&format!("SET GLOBAL {variable} = ON")).await.unwrap();
            let outcome = world.rotate().await;
            // MySQL turns `read_only` on with `super_read_only`, and `super_read_only` off with `read_only`.
            app.server.execute("SET GLOBAL read_only = OFF").await.unwrap();
            let error = outcome.expect_err("the server is a replica");
            for part in
                ["setSecret: ServerRefused:", "is not the writer", "nothing was changed", "writer's host"]
            {
                assert!(error.contains(part), "{case}: no {part:?} in {error}");
            }
            assert!(app.has(FIRST).await, "{case}");
            let password = world.labelled("AWSPENDING").unwrap()["password"].as_str().unwrap().to_owned();
            assert!(!app.has(&password).await, "{case}");
            let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
            world.steps(&token).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_become_read_only_after_the_change_still_lets_pending_be_promoted() {
    for release in MySql::releases().await.unwrap() {
        let server = MySql::release(release).start().await.unwrap();
        let app = App::on(server.into()).await;
        let world = app.world_as("admin", |_| ()).await;
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap();
        app.server.execute("SET GLOBAL read_only = ON").await.unwrap();
        world.step(&token, Step::TestSecret).await.unwrap();
        world.step(&token, Step::FinishSecret).await.unwrap();
        assert!(app.accepts(&world.current()).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_whether_the_host_is_the_writer() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        let server = MySql::release(release).start().await.unwrap();
        let app = App::on(server.into()).await;
        let world = app.world_of("admin", &[("ALLOW_DIAGNOSE", "true")], |_| (), |_| ()).await;
        let verdict = async || {
            let event = json!({"Step": "diagnose", "SecretId": world.secret, "Checks": ["writer"]});
            let report = world.function.invoke(event).await.expect("a report");
            let line = report["Checks"][0].clone();
            (line["Verdict"].as_str().unwrap().to_owned(), line["Detail"].as_str().unwrap().to_owned())
        };
        let (writer, detail) = verdict().await;
        assert_eq!(writer, "pass", "{release}: {detail}");
        app.server.execute("SET GLOBAL read_only = ON").await.unwrap();
        let (replica, detail) = verdict().await;
        assert_eq!(replica, "fail", "{release}: {detail}");
        assert!(detail.contains("read_only is on"), "{release}: {detail}");
    }
}

/// Makes a server follow another. All data folders here are copies of one, so MySQL would refuse a source with its own UUID: its source
/// is a port that never answers.
async fn follow(replica: &MySql, source: &MySql, silent: u16) {
    let follow = match replica.flavor() {
        Flavor::MySql => format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {silent}, SOURCE_USER = 'u', SOURCE_PASSWORD = 'p'"
        ),
        Flavor::MariaDb => format!(
            "CHANGE MASTER TO MASTER_HOST = '{}', MASTER_PORT = {}, MASTER_USER = 'follower', MASTER_PASSWORD = '{FIRST}'",
            source.host(),
            source.port(),
        ),
    };
    replica.execute(&follow).await.expect("it gets a source");
    replica.execute("START REPLICA").await.expect("it starts");
    let running = match replica.flavor() {
        Flavor::MySql => "SELECT SERVICE_STATE FROM performance_schema.replication_connection_status",
        Flavor::MariaDb => {
            "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'SLAVES_RUNNING'"
        }
    };
    let follows = async {
        while !matches!(
            replica.query(running).await.expect("an answer")[0][0].as_deref(),
            Some("1" | "CONNECTING")
        ) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), follows).await.expect("it follows its source");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_is_told_if_the_server_replicates_from_another() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        let source = MySql::release(release).start().await.unwrap();
        for sql in [
            &format!("CREATE USER follower IDENTIFIED BY '{FIRST}'"),
            "GRANT REPLICATION SLAVE ON *.* TO follower",
        ] {
            source.execute(sql).await.unwrap();
        }
        let app =
            App::on(MySql::release(release).setting("server_id", "77").start().await.unwrap().into()).await;
        let world = app.world_as("admin", |_| ()).await;
        world.rotate().await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(!world.output().contains("replicates from another"), "{release}: {}", world.output());
        follow(&app.server, &source, silent.local_addr().unwrap().port()).await;
        world.rotate().await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(world.output().contains("replicates from another"), "{release}: {}", world.output());
    }
}
