//! Failures with two users: those of AWS's function, each named after what happens, and missing privileges of the admin.

use std::sync::Arc;
use std::time::Duration;

use lab::proxy::{OnConnect, Protocol, Proxy};
use lab::rds::Entry;
use lab::rotation::Step;
use lab::servers::Postgres;
use lab::world::World;

use super::app::FIRST;
use super::pair::{ADMIN_SECRET, Pair, Power, first};
use super::rds::listing;

/// The first rotation must fail with these texts and leave no trace of the alternate.
async fn fails(pair: &Pair, world: &World, parts: &[&str]) -> String {
    let error = world.rotate().await.expect_err("the rotation fails");
    for part in parts {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
    let clone = pair.clone_name();
    let trace = format!(
        "SELECT count(*) FROM (SELECT rolname FROM pg_roles UNION ALL SELECT setconfig::text FROM pg_db_role_setting UNION ALL \
         SELECT description FROM pg_shdescription) AS t (x) WHERE x LIKE '%{clone}%'"
    );
    assert_eq!(pair.value(&trace).await.unwrap(), "0", "{error}");
    assert!(pair.accepts(&world.current()).await);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_stops_the_first_rotation_by_name_and_leaves_no_trace() {
    for (version, change, parts) in [
        (14, "REPLICATION", ["REPLICATION", "rds_replication"]),
        (18, "REPLICATION", ["REPLICATION", "rds_replication"]),
        (14, "SET log_statement = 'none'", ["\"log_statement\"", "cannot be copied"]),
        (18, "SET log_statement = 'none'", ["\"log_statement\"", "GRANT SET ON PARAMETER log_statement"]),
        (16, "VALID UNTIL '2001-01-01'", ["was valid until 2001-01-01", "28P01"]),
    ] {
        let pair = Pair::new(version, Power::CreateRole).await;
        let world = pair.world().await;
        if change.starts_with("VALID") {
            pair.app.server.execute(&format!("ALTER ROLE {} {change}", pair.app.user)).await.unwrap();
            let error = world.rotate().await.unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            continue;
        }
        pair.app.server.execute(&format!("ALTER ROLE {} {change}", pair.app.user)).await.unwrap();
        fails(&pair, &world, &["setSecret: ServerRefused:", parts[0], parts[1]]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_fails_half_way_leaves_everything_as_it_was() {
    for version in Postgres::versions().await.unwrap() {
        let pair = Pair::new(version, Power::CreateRole).await;
        let (app, clone) = (&pair.app.user, pair.clone_name());
        let world = pair.world().await;
        for _ in 0..2 {
            world.rotate().await.unwrap();
        }
        // Memberships, limits and attributes are changed before the setting that cannot be copied.
        let sql = format!(
            "ALTER ROLE {app} CONNECTION LIMIT 5 VALID UNTIL '2099-01-01'; ALTER ROLE {app} SET work_mem = '9MB'; \
             ALTER ROLE {app} SET log_statement = 'none'; GRANT pg_monitor TO {clone}; REVOKE {app} FROM {clone}"
        );
        pair.app.server.execute(&sql).await.unwrap();
        let state = format!(
            "SELECT string_agg(t, E'\\n' ORDER BY t) FROM ( \
               SELECT to_jsonb(a)::text || coalesce(shobj_description(a.oid, 'pg_authid'), '') FROM pg_authid a WHERE rolname IN ('{app}', '{clone}') \
               UNION ALL SELECT to_jsonb(m)::text FROM pg_auth_members m JOIN pg_roles r ON r.oid IN (m.roleid, m.member) WHERE r.rolname IN ('{app}', '{clone}') \
               UNION ALL SELECT to_jsonb(s)::text FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE r.rolname IN ('{app}', '{clone}')) AS x (t)"
        );
        let before = pair.value(&state).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.contains("setSecret: ServerRefused:") && error.contains("log_statement"), "{error}");
        assert_eq!(pair.value(&state).await, before, "PostgreSQL {version}");
        assert!(
            pair.accepts(&world.current()).await
                && pair.accepts(&world.labelled("AWSPREVIOUS").unwrap()).await
        );
        pair.app.server.execute(&format!("ALTER ROLE {app} RESET log_statement")).await.unwrap();
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_without_an_admin_is_refused_before_anything_is_made() {
    // AWS's function makes the pending version first, and then fails in setSecret on every try.
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = pair.app.world_with(&[], |secret| secret["strategy"] = "alternating-users".into()).await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.starts_with("createSecret: BadSecret:") && error.contains("\"masterarn\""), "{error}");
    assert!(world.lab.secrets().value(&world.secret, "AWSPENDING").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_both_secrets_that_drops_packets_is_named_in_time() {
    // AWS's function tries every login twice for five seconds each, and is killed before it can say why.
    let pair = Pair::new(16, Power::CreateRole).await;
    let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1", pair.app.server.port()).await.unwrap();
    proxy.on_connect(OnConnect::DropPackets).await.unwrap();
    let behind_proxy = |secret: &mut serde_json::Value| secret["port"] = proxy.port().into();
    let world = pair
        .app
        .world_with(&[], |secret| {
            secret["masterarn"] = ADMIN_SECRET.into();
            behind_proxy(secret);
        })
        .await;
    pair.add_admin(&world, ADMIN_SECRET, behind_proxy);
    world.fails(&["setSecret: Unreachable:", "a TCP connection to localhost", "security group"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_server_refuses_the_alternate_leaves_no_trace_and_can_be_replaced() {
    let server =
        Postgres::version(16).setting("shared_preload_libraries", "passwordcheck").start().await.unwrap();
    let pair = Pair::on(server.into(), Power::CreateRole).await;
    let env = [("PASSWORD_FORM", "plaintext"), ("EXCLUDE_NUMBERS", "true"), ("EXCLUDE_PUNCTUATION", "true")];
    let world = pair.world_with(&env, |_| ()).await;
    fails(&pair, &world, &["setSecret: ServerRefused:", "22023", "AWSPENDING"]).await;
    let fitting = pair.world_with(&[("PASSWORD_FORM", "plaintext")], |_| ()).await;
    fitting.rotate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_come_with_the_role_do_not_stop_an_admin_who_may_not_copy_them() {
    let pair = Pair::new(18, Power::CreateRole).await;
    pair.app.server.execute(&format!("ALTER ROLE {} BYPASSRLS CREATEDB", pair.app.user)).await.unwrap();
    let world = pair.world().await;
    world.rotate().await.unwrap();
    let database = format!("made_{}", pair.app.user);
    pair.as_user(&world.current(), &format!("CREATE DATABASE {database}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_without_admin_option_is_told_the_grant_it_needs() {
    // From PostgreSQL 16 on, AWS's function fails with the server's bare refusal.
    let pair = Pair::new(16, Power::CreateRole).await;
    let (app, admin) = (&pair.app.user, &pair.admin);
    pair.app.server.execute(&format!("REVOKE ADMIN OPTION FOR {app} FROM {admin}")).await.unwrap();
    let grant = format!("GRANT \"{app}\" TO \"{admin}\" WITH ADMIN OPTION");
    for strategy in ["alternating-users", "admin"] {
        let world = pair.world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        fails(&pair, &world, &["setSecret: ServerRefused:", "42501", &grant, "rds_password"]).await;
    }
    pair.app.server.execute(&grant).await.unwrap();
    let world = pair.world().await;
    world.rotate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_that_is_a_member_of_its_clone_is_told_apart() {
    // People did this so that the original can use objects made by the clone of AWS's function.
    let pair = Pair::new(16, Power::Superuser).await;
    let (app, clone) = (&pair.app.user, pair.clone_name());
    pair.app
        .server
        .execute(&format!("CREATE ROLE {clone} LOGIN PASSWORD '{FIRST}'; GRANT {clone} TO {app}"))
        .await
        .unwrap();
    let world = pair.world().await;
    let value = first(&clone);
    let mut previous = world.current();
    previous["username"] = value["username"].clone();
    world.put("00000000-0000-4000-8000-0000000000dd", &previous, "older").unwrap();
    let error = world.rotate().await.unwrap_err();
    let statement = format!("REVOKE \"{clone}\" FROM \"{app}\"");
    assert!(error.contains("ServerRefused:") && error.contains(&statement), "{error}");
    pair.app.server.execute(&statement).await.unwrap();
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_rotation_of_the_original_locks_nobody_out() {
    // The original's working password is in a version without any label. AWS's function would not find it, and would reset the
    // password blindly.
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = pair.world().await;
    world.rotate().await.unwrap();
    for _ in 0..2 {
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        world.step(&token, Step::SetSecret).await.unwrap();
        assert!(pair.accepts(&world.labelled("AWSPENDING").unwrap()).await);
        world.abandon().unwrap();
        assert!(pair.accepts(&world.current()).await);
    }
    world.rotate().await.unwrap();
    assert_eq!(world.current()["username"], pair.app.user.as_str());
    assert!(pair.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_while_a_turn_is_under_way_is_in_force_after_the_next() {
    let server = Arc::new(Postgres::version(16).start().await.unwrap());
    let pair = Pair::on(server, Power::CreateRole).await;
    let world = pair.world().await;
    let app = &pair.app.user;
    // A stranger's transaction, which is not committed while the alternate is made.
    let blocker =
        pair.app.server.connect("postgres", pair.app.server.superuser_password(), "postgres").await.unwrap();
    blocker
        .batch_execute(&format!("BEGIN; GRANT pg_monitor TO {app}; ALTER ROLE {app} CONNECTION LIMIT 9"))
        .await
        .unwrap();
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    blocker.batch_execute("COMMIT").await.unwrap();
    world.steps(&token).await.unwrap();
    let limit = format!(
        "SELECT string_agg(DISTINCT rolconnlimit::text, ',') FROM pg_roles WHERE rolname IN ('{app}', '{}')",
        pair.clone_name()
    );
    assert_eq!(pair.value(&limit).await.unwrap(), "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rotations_of_one_secret_take_turns_on_the_writer() {
    let pair = Pair::new(16, Power::Superuser).await;
    let world = pair.world().await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    let (a, b) = tokio::join!(world.step(&token, Step::SetSecret), world.step(&token, Step::SetSecret));
    a.unwrap();
    b.unwrap();
    let (a, b) = tokio::join!(world.step(&token, Step::FinishSecret), world.step(&token, Step::FinishSecret));
    a.unwrap();
    b.unwrap();
    assert!(pair.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_behind_is_waited_for_by_looking() {
    // The secret's host is another server, on which the test imitates replication.
    let pair = Pair::on(Arc::new(Postgres::version(16).start().await.unwrap()), Power::Superuser).await;
    let replica = Postgres::version(16).setting("log_connections", "on").start().await.unwrap();
    replica.execute(&format!("CREATE ROLE {} LOGIN PASSWORD '{FIRST}'", pair.app.user)).await.unwrap();
    let replicated = "<ReadReplicaSourceDBInstanceIdentifier>one</ReadReplicaSourceDBInstanceIdentifier>";
    let fleet = [Entry::Instance("one", "localhost", ""), Entry::Instance("two", "127.0.0.1", replicated)];
    let rds = listing(&fleet, pair.app.server.port()).await;
    let (url, roots) = (rds.url(), replica.ca_pem().to_owned());
    let env = [("AWS_ENDPOINT_URL_RDS", url.as_str()), ("EXTRA_CA_PEM", roots.as_str())];
    let world = pair.world_with(&env, |secret| {
        secret["host"] = "127.0.0.1".into();
        secret["port"] = replica.port().into();
    });
    let world = world.await;
    let token = world.begin().unwrap();
    for step in [Step::CreateSecret, Step::SetSecret] {
        world.step(&token, step).await.unwrap();
    }
    let pending = world.labelled("AWSPENDING").unwrap();
    let clone = pair.clone_name();
    let replay = async {
        // Waits until the function has been refused.
        while !replica.log().contains(&format!("password authentication failed for user \"{clone}\"")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let password = pending["password"].as_str().unwrap().replace('\'', "''");
        let sql = format!(
            "CREATE ROLE {clone} LOGIN PASSWORD '{password}'; GRANT {app} TO {clone}; ALTER ROLE {clone} SET role TO {app}",
            app = pair.app.user
        );
        replica.execute(&sql).await.unwrap();
    };
    let (tested, ()) = tokio::join!(world.step(&token, Step::TestSecret), replay);
    tested.unwrap();
    world.step(&token, Step::FinishSecret).await.unwrap();
    assert_eq!(world.current()["username"], clone.as_str());
    // If the writer refuses the password as well, the function refuses at once.
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    let error = world.step(&token, Step::TestSecret).await.unwrap_err().to_string();
    assert!(error.starts_with("CredentialRejected:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_at_the_limit_are_refused_before_anything_is_made_and_odd_ones_rotate() {
    let server = Postgres::shared(17).await.unwrap();
    for name in ["A b\"c'd\\", "用户们", "x.y;--", &"n".repeat(57)] {
        let app = super::app::App::named(server.clone(), name).await;
        let pair = Pair {
            app,
            admin: server.superuser().into(),
            admin_password: server.superuser_password().into(),
        };
        let world = pair.world().await;
        for _ in 0..3 {
            world.rotate().await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(pair.accepts(&world.current()).await, "{name}");
        }
    }
    let long = "l".repeat(58);
    let app = super::app::App::named(server.clone(), &long).await;
    let pair =
        Pair { app, admin: server.superuser().into(), admin_password: server.superuser_password().into() };
    let world = pair.world().await;
    let error = world.rotate().await.unwrap_err();
    assert!(
        error.contains("createSecret: BadSecret:")
            && error.contains("64 bytes")
            && error.contains("alternate_username"),
        "{error}"
    );
    assert!(world.lab.secrets().value(&world.secret, "AWSPENDING").is_none());
}
