//! The admin is a confused deputy if its session touches an application's objects: a view runs its functions with the rights of its reader.

use lab::rotation::Step;
use lab::servers::{MySql, Release};

use super::app::{App, unique};

/// An application that may make functions in a schema of its own.
async fn programmer(release: Release) -> (App, String) {
    let server = MySql::release(release).setting("log_bin_trust_function_creators", "1");
    let app = App::on(server.shared().await.expect("a server starts")).await;
    let schema = unique("own");
    let setup = [
        format!("CREATE DATABASE {schema}"),
        format!("CREATE TABLE {schema}.loot (a TEXT)"),
        format!("CREATE TABLE {schema}.gone (a INT)"),
    ];
    run(&app, &setup).await;
    (app, schema)
}

async fn run(app: &App, statements: &[String]) {
    for sql in statements {
        app.server.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// A view that, read by an admin, copies the server's accounts into the application's table.
fn trap(app: &App, schema: &str, view: &str) -> [String; 2] {
    let accounts = if app.is_mariadb() { "global_priv" } else { "user" };
    [
        format!(
            "CREATE FUNCTION {schema}.f() RETURNS INT MODIFIES SQL DATA SQL SECURITY INVOKER \
             BEGIN INSERT INTO {schema}.loot SELECT User FROM mysql.{accounts}; RETURN 1; END"
        ),
        format!(
            "CREATE ALGORITHM = TEMPTABLE SQL SECURITY INVOKER VIEW {schema}.{view} AS SELECT {schema}.f() AS a"
        ),
    ]
}

/// Rotates up to testSecret. The statements run between setSecret and testSecret. Returns what testSecret says.
async fn disturbed(app: &App, before: &[String], between: &[String], schema: &str) -> String {
    let world = app.world_as("alternating-users", |_| ()).await;
    let token = world.begin().expect("a rotation begins");
    world.step(&token, Step::CreateSecret).await.expect("createSecret works");
    run(app, before).await;
    world.step(&token, Step::SetSecret).await.expect("setSecret works");
    run(app, between).await;
    let answer = world.step(&token, Step::TestSecret).await;
    let loot = app.server.query(&format!("SELECT a FROM {schema}.loot")).await.expect("it is there");
    assert!(loot.is_empty(), "the admin ran the application's function: {loot:?}");
    let error = answer.expect_err("the two users differ").to_string();
    assert!(error.contains("ServerRefused") && error.contains("run it again"), "{error}");
    run(app, &[format!("DROP VIEW {schema}.v")]).await;
    world.steps(&token).await.expect("the next try works");
    world.output()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_a_user_grants_itself_is_not_read_as_the_admin() {
    for release in MySql::releases().await.unwrap() {
        for privilege in ["SELECT", "SELECT (a)"] {
            let (app, schema) = programmer(release).await;
            let user = app.account();
            run(&app, &[format!("GRANT ALL ON {schema}.* TO {user} WITH GRANT OPTION")]).await;
            let mut between = trap(&app, &schema, "v").to_vec();
            between.push(format!("GRANT {privilege} ON {schema}.v TO {user}"));
            disturbed(&app, &[], &between, &schema).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_in_the_place_of_a_table_is_not_read_as_the_admin() {
    for release in MySql::releases().await.unwrap() {
        for privilege in ["SELECT", "SELECT (a)"] {
            let (app, schema) = programmer(release).await;
            let user = app.account();
            let setup = [
                format!("CREATE TABLE {schema}.v (a INT)"),
                format!("GRANT ALL ON {schema}.* TO {user}"),
                format!("GRANT {privilege} ON {schema}.v TO {user}"),
            ];
            run(&app, &setup).await;
            let before = [format!("DROP TABLE {schema}.v")];
            let output = disturbed(&app, &before, &trap(&app, &schema, "v"), &schema).await;
            assert!(output.contains("a grant on something that is gone"), "{output}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_on_a_view_whose_table_is_gone_is_passed_over() {
    for release in MySql::releases().await.unwrap() {
        let (app, schema) = programmer(release).await;
        let user = app.account();
        let setup = [
            format!("CREATE VIEW {schema}.v AS SELECT a FROM {schema}.gone"),
            format!("GRANT SELECT (a) ON {schema}.v TO {user}"),
            format!("DROP TABLE {schema}.gone"),
        ];
        run(&app, &setup).await;
        let world = app.world_as("alternating-users", |_| ()).await;
        world.rotate().await.unwrap_or_else(|error| panic!("{release}: {error}"));
        assert!(world.output().contains("a grant on something that is gone"), "{release}");
    }
}
