//! Taking over secrets that AWS's function has rotated, and giving them back. AWS's own SQL makes the state.

use lab::rotation::Step;
use lab::servers::Postgres;
use lab::world::World;
use serde_json::Value;

use super::pair::{Pair, Power, first};

const CLONE_PASSWORD: &str = "C1one-pa55-of-aws";

/// The state that AWS's function leaves after its first rotation: a clone that is a member, objects that the clone has made here
/// and in another database, and a secret whose current version is the clone's.
async fn rotated_by_aws(pair: &Pair) -> World {
    let (app, clone, database) = (&pair.app.user, pair.clone_name(), other_database(pair));
    let server = &pair.app.server;
    let admin = server.connect(&pair.admin, &pair.admin_password, "postgres").await.unwrap();
    let made = format!("CREATE ROLE {clone} WITH LOGIN PASSWORD '{CLONE_PASSWORD}'; GRANT {app} TO {clone}");
    admin.batch_execute(&made).await.unwrap();
    server.execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    for place in ["postgres", &database] {
        let sql = format!(
            "CREATE SCHEMA s_{app}; GRANT ALL ON SCHEMA s_{app} TO {app}; GRANT CREATE ON DATABASE {place} TO {app}"
        );
        server.execute_in(place, &sql).await.unwrap();
        let client = server.connect(&clone, CLONE_PASSWORD, place).await.unwrap();
        let sql = format!(
            "CREATE TABLE s_{app}.t (id serial, x int); INSERT INTO s_{app}.t (x) VALUES (1); CREATE VIEW s_{app}.v AS SELECT * FROM s_{app}.t; \
             CREATE FUNCTION s_{app}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE s_{app}.e AS ENUM ('a')"
        );
        client.batch_execute(&sql).await.unwrap();
    }
    let world = pair.world().await;
    let mut value = world.current();
    value["username"] = clone.into();
    value["password"] = CLONE_PASSWORD.into();
    let token = "00000000-0000-4000-8000-0000000000aa";
    world.put(token, &value, "AWSCURRENT").unwrap();
    world
}

fn other_database(pair: &Pair) -> String {
    format!("other_{}", pair.app.user)
}

/// Uses everything that the clone has made, as an application does, even after its next deployment.
async fn uses_everything(pair: &Pair, value: &Value) {
    let text = |key: &str| value[key].as_str().unwrap().to_owned();
    let app = &pair.app.user;
    for place in ["postgres", &other_database(pair)] {
        let client = pair.app.server.connect(&text("username"), &text("password"), place).await.unwrap();
        let sql = format!(
            "INSERT INTO s_{app}.t (x) VALUES (2); SELECT * FROM s_{app}.v; SELECT s_{app}.f(); \
             ALTER TABLE s_{app}.t ADD COLUMN IF NOT EXISTS y int; ALTER TYPE s_{app}.e ADD VALUE IF NOT EXISTS 'b'"
        );
        client
            .batch_execute(&sql)
            .await
            .unwrap_or_else(|error| panic!("{place} as {}: {error:?}", text("username")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_awss_function_rotated_is_taken_over_with_its_objects_and_given_back() {
    let versions = Postgres::versions().await.unwrap().into_iter();
    for (version, power) in
        versions.flat_map(|version| [(version, Power::CreateRole), (version, Power::Superuser)])
    {
        let pair = Pair::new(version, power).await;
        let world = rotated_by_aws(&pair).await;
        // The first turn is the original's. The clone is in use, and keeps working.
        for _ in 0..3 {
            let before = world.current();
            world.rotate().await.unwrap_or_else(|error| panic!("{version} {power:?}: {error}"));
            uses_everything(&pair, &before).await;
            uses_everything(&pair, &world.current()).await;
        }
        let owners = pair
            .value(&format!(
                "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables WHERE schemaname = 's_{}'",
                pair.app.user
            ))
            .await;
        assert_eq!(owners.as_ref(), Some(&pair.app.user));
        // The admin has given back what it borrowed for that.
        if power == Power::CreateRole {
            let kept = format!(
                "SELECT count(*) FROM pg_auth_members WHERE member = '{}'::regrole AND NOT admin_option",
                pair.admin
            );
            assert_eq!(pair.value(&kept).await.unwrap(), "0", "{version}");
        }
        // Back to AWS's function: as the admin it only sets the other user's password, and logs in.
        let other = if world.current()["username"] == pair.app.user.as_str() {
            pair.clone_name()
        } else {
            pair.app.user.clone()
        };
        let admin = pair.app.server.connect(&pair.admin, &pair.admin_password, "postgres").await.unwrap();
        admin.batch_execute(&format!("ALTER USER {other} WITH PASSWORD 'back-at-aws'")).await.unwrap();
        let mut value = first(&other);
        value["password"] = "back-at-aws".into();
        uses_everything(&pair, &value).await;
        // And here again: the user that AWS's function has promoted is in use, and keeps working.
        let mut current = world.current();
        current["username"] = other.into();
        current["password"] = "back-at-aws".into();
        let token = "00000000-0000-4000-8000-0000000000ab";
        world.put(token, &current, "AWSCURRENT").unwrap();
        world.rotate().await.unwrap_or_else(|error| panic!("{version} {power:?}: {error}"));
        uses_everything(&pair, &value).await;
        uses_everything(&pair, &world.current()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clone_is_rotated_first_when_the_original_is_current() {
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = rotated_by_aws(&pair).await;
    world
        .lab
        .secrets()
        .move_label(
            &world.secret,
            "AWSCURRENT",
            world.lab.secrets().version_with(&world.secret, "AWSPREVIOUS").as_deref(),
        )
        .unwrap();
    assert_eq!(world.current()["username"], pair.app.user.as_str());
    world.rotate().await.unwrap();
    uses_everything(&pair, &world.current()).await;
    uses_everything(&pair, &first(&pair.app.user)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_in_a_database_that_cannot_be_entered_stop_the_takeover_with_the_statement_to_run() {
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = rotated_by_aws(&pair).await;
    let (database, clone, app) = (other_database(&pair), pair.clone_name(), &pair.app.user);
    pair.app.server.execute(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await.unwrap();
    let error = world.rotate().await.unwrap_err();
    let statement = format!("REASSIGN OWNED BY \"{clone}\" TO \"{app}\"");
    assert!(
        error.contains("setSecret: ServerRefused:")
            && error.contains(&statement)
            && error.contains(&database),
        "{error}"
    );
    assert!(pair.accepts(&world.current()).await && pair.accepts(&first(app)).await);
    // The statement is exact: it can be run unchanged, and then the same token succeeds.
    pair.app.server.execute(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await.unwrap();
    pair.app.server.execute_in(&database, &statement).await.unwrap();
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap();
    uses_everything(&pair, &world.current()).await;
}

/// For each kind of object, a privilege that an account does not have by itself. `%` stands for its name.
const GRANTABLE: [(&str, &str); 9] = [
    ("CREATE TABLE only_% (x int, y int)", "SELECT ON TABLE public.only_%"),
    ("", "UPDATE (y) ON TABLE public.only_%"),
    ("CREATE SEQUENCE only_%_s", "USAGE ON SEQUENCE public.only_%_s"),
    ("CREATE SCHEMA only_%", "CREATE ON SCHEMA only_%"),
    (
        "CREATE FUNCTION only_%() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION only_%() FROM PUBLIC",
        "EXECUTE ON ROUTINE public.only_%()",
    ),
    ("", "CREATE ON DATABASE template1"),
    (
        "CREATE DOMAIN only_%_d AS int; REVOKE USAGE ON TYPE only_%_d FROM PUBLIC",
        "USAGE ON TYPE public.only_%_d",
    ),
    ("CREATE FOREIGN DATA WRAPPER only_%_w", "USAGE ON FOREIGN DATA WRAPPER only_%_w"),
    ("CREATE SERVER only_%_v FOREIGN DATA WRAPPER only_%_w", "USAGE ON FOREIGN SERVER only_%_v"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_clone_was_given_stops_the_promotion_of_an_original_that_lacks_it() {
    // AWS's function promotes the original, and clients lose the grants that only the clone has.
    for version in [14, 18] {
        let pair = Pair::new(version, Power::Superuser).await;
        let world = rotated_by_aws(&pair).await;
        let (app, clone) = (&pair.app.user, pair.clone_name());
        let mut granted = Vec::new();
        let maintain = (version >= 17).then_some(("", "MAINTAIN ON TABLE public.only_%"));
        for (made, what) in GRANTABLE.into_iter().chain(maintain) {
            let what = format!("GRANT {}", what.replace('%', app));
            let sql = format!("{}; {what} TO {clone}", made.replace('%', app));
            pair.app.server.execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            granted.push(format!("{what} TO {app}"));
        }
        let error = world.rotate().await.unwrap_err();
        assert!(error.contains("testSecret: ServerRefused:"), "{error}");
        let (_, lacking) = error.rsplit_once("then rotate again: ").expect("the statements are listed");
        let mut lacking: Vec<String> = lacking.split("; ").map(|it| it.replace('"', "")).collect();
        lacking.sort();
        granted.sort();
        assert_eq!(lacking, granted, "{version}");
        for statement in granted {
            pair.app.server.execute(&statement).await.unwrap();
        }
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_can_be_switched_on_without_rotating_at_once() {
    // With RotateImmediately=false only testSecret is called, with a copy of the current version.
    let pair = Pair::new(16, Power::Superuser).await;
    let world = rotated_by_aws(&pair).await;
    for value in [world.current(), world.labelled("AWSPREVIOUS").unwrap()] {
        let token = world.begin().unwrap();
        world.put(&token, &value, "AWSPENDING").unwrap();
        world.step(&token, Step::TestSecret).await.unwrap();
        world.abandon().unwrap();
        // Then the same with the other user as current.
        let previous = world.lab.secrets().version_with(&world.secret, "AWSPREVIOUS");
        world.lab.secrets().move_label(&world.secret, "AWSCURRENT", previous.as_deref()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strategies_can_be_switched_both_ways() {
    for version in Postgres::versions().await.unwrap() {
        switched_both_ways(version).await;
    }
}

async fn switched_both_ways(version: u32) {
    let pair = Pair::new(version, Power::CreateRole).await;
    let world = pair.world_with(&[], |secret| secret["strategy"] = "single-user".into()).await;
    let order = [
        "single-user",
        "alternating-users",
        "single-user",
        "admin",
        "alternating-users",
        "alternating-users",
        "admin",
        "single-user",
        "alternating-users",
    ];
    for (round, strategy) in order.into_iter().enumerate() {
        let mut value = world.current();
        value["strategy"] = strategy.into();
        let token = format!("00000000-0000-4000-8000-{round:012}");
        world.put(&token, &value, "AWSCURRENT").unwrap();
        let before = value["username"].clone();
        world.rotate().await.unwrap_or_else(|error| panic!("{version} {round} {strategy}: {error}"));
        assert_eq!(
            world.current()["username"] != before,
            strategy == "alternating-users",
            "{round} {strategy}"
        );
        assert!(pair.accepts(&world.current()).await, "{round} {strategy}");
    }
}
