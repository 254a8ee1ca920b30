//! Attacks by somebody who can write a secret, or owns a role or a database, and tries to make the admin act for them. The
//! function refuses each one, and nothing on the server changes.

use lab::servers::{Auth, Postgres};
use lab::world::World;
use serde_json::{Value, json};

use super::app::{App, FIRST};
use super::pair::{ADMIN_SECRET, Pair, Power};
use super::rds::listing;

/// Roles with their passwords, memberships and settings.
async fn roles(server: &Postgres) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT to_jsonb(a)::text, shobj_description(a.oid, 'pg_authid') FROM pg_authid a UNION ALL \
               SELECT to_jsonb(m)::text, '' FROM pg_auth_members m UNION ALL SELECT to_jsonb(s)::text, '' FROM pg_db_role_setting s ORDER BY 1";
    server.query(sql).await.unwrap()
}

/// Rotates. The rotation must fail with these texts and change nothing.
async fn refused(pair: &Pair, world: &World, parts: &[&str]) {
    let before = roles(&pair.app.server).await;
    let error = world.rotate().await.expect_err("the rotation is refused");
    for part in parts {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
    assert!(error.contains("What to do: "), "{error}");
    assert!(roles(&pair.app.server).await == before, "something changed: {error}");
    world.abandon().unwrap();
}

/// A separate server, so that no other test changes its roles.
async fn pair(version: u32) -> Pair {
    Pair::on(Postgres::version(version).start().await.unwrap().into(), Power::Superuser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_for_victim_clone_does_not_get_victim() {
    // AWS's function resets the password of `victim`, a superuser here, and gives it to the secret's holder.
    let pair = pair(16).await;
    pair.app.server.execute(&format!("CREATE ROLE victim SUPERUSER LOGIN PASSWORD 'x'; CREATE ROLE victim_clone LOGIN PASSWORD '{FIRST}'")).await.unwrap();
    let world = pair.world_with(&[], |secret| secret["username"] = "victim_clone".into()).await;
    refused(&pair, &world, &["setSecret: NotOurs:", "\"victim\"", "COMMENT ON ROLE"]).await;
    // The same attack with the other user's name, or a role to act as.
    let other = pair.world_with(&[], |secret| secret["alternate_username"] = "victim".into()).await;
    refused(&pair, &other, &["setSecret: NotOurs:", "\"victim\""]).await;
    let role = pair.world_with(&[], |secret| secret["owner_role"] = "victim".into()).await;
    refused(&pair, &role, &["setSecret: NotOurs:", "owner_role"]).await;
    // Or with the admin's own name.
    let admin = pair.world_with(&[], |secret| secret["alternate_username"] = "postgres".into()).await;
    refused(&pair, &admin, &["setSecret: NotOurs:", "the admin itself"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_vouch_for_their_own_account_on_their_own_server_only() {
    let pair = pair(16).await;
    let victim = pair.clone_name();
    let sql = format!("CREATE ROLE {victim} LOGIN PASSWORD '{FIRST}'");
    pair.app.server.execute(&sql).await.unwrap();
    // A version for this user on this host becomes AWSPREVIOUS, after the current one.
    let after = async |username: &str, host: &str| {
        let world = pair.world().await;
        let current = world.current();
        let mut older = current.clone();
        (older["username"], older["host"]) = (username.into(), host.into());
        world.put("00000000-0000-4000-8000-00000000000a", &older, "AWSCURRENT").unwrap();
        world.put("00000000-0000-4000-8000-00000000000b", &current, "AWSCURRENT").unwrap();
        assert_eq!(world.labelled("AWSPREVIOUS").unwrap(), older);
        world
    };
    for (username, host) in [(&pair.app.user, "localhost"), (&victim, "elsewhere.invalid")] {
        refused(&pair, &after(username, host).await, &["setSecret: NotOurs:", &victim]).await;
    }
    // This version has the account's own password for this server.
    after(&victim, "localhost").await.rotate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_opens_one_user_of_a_pair_gets_no_privilege_of_the_other() {
    // The secret's holder has the login of one user, and writes the other user, which is not its own, into AWSCURRENT.
    for (mine, theirs, extra) in
        [("victim_clone", "victim", json!({})), ("victim", "victim_clone", json!({"sync": "exact"}))]
    {
        let pair = pair(16).await;
        let sql = format!(
            "CREATE ROLE {mine} LOGIN PASSWORD '{FIRST}'; CREATE ROLE {theirs} SUPERUSER LOGIN PASSWORD 'x'; GRANT {mine} TO {theirs}; \
             CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO {theirs}"
        );
        // If the other user is the alternate, it inherits from the original, as in every pair.
        let sql =
            if mine == "victim" { sql } else { sql.replace(&format!("GRANT {mine} TO {theirs}; "), "") };
        pair.app.server.execute(&sql).await.unwrap();
        let world = pair.world().await;
        let mut version = world.current();
        version.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        version["username"] = mine.into();
        world.put("00000000-0000-4000-8000-00000000000a", &version, "AWSCURRENT").unwrap();
        (version["username"], version["password"]) = (theirs.into(), "junk-that-nobody-set".into());
        world.put("00000000-0000-4000-8000-00000000000b", &version, "AWSCURRENT").unwrap();
        let sql = "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members UNION ALL \
                   SELECT tableowner, tablename FROM pg_tables WHERE tablename = 'theirs' UNION ALL \
                   SELECT rolname, rolsuper::text FROM pg_roles WHERE rolname LIKE 'victim%' UNION ALL \
                   SELECT setrole::regrole::text, setconfig::text FROM pg_db_role_setting ORDER BY 1, 2";
        let before = pair.app.server.query(sql).await;
        let before = before.unwrap_or_else(|error| panic!("{error}"));
        // The user may get its own password. (It then has less than the other user, which can stop the promotion.)
        let outcome = world.rotate().await;
        assert!(outcome.is_ok() || outcome.unwrap_err().starts_with("testSecret: ServerRefused:"), "{mine}");
        assert!(world.output().contains("gets its password and nothing else"));
        assert_eq!(pair.app.server.query(sql).await.unwrap(), before);
        assert!(pair.accepts(&world.labelled("AWSPENDING").unwrap()).await);
        let unchanged = json!({"username": theirs, "password": "x"});
        assert!(pair.accepts(&unchanged).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_handed_to_a_role_that_the_original_only_says_it_acts_as() {
    for version in [14, 15, 16, 18] {
        let pair = pair(version).await;
        let (user, clone) = (pair.app.user.clone(), pair.clone_name());
        let world = pair.world().await;
        world.rotate().await.unwrap();
        let current = world.current();
        assert_eq!(current["username"], clone.as_str());
        // A function that the alternate itself owns, and that runs with its owner's privileges.
        pair.app.server.execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await.unwrap();
        let sql = "SET ROLE NONE; CREATE FUNCTION trap() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text'";
        pair.as_user(&current, sql).await.unwrap();
        world.rotate().await.unwrap();
        // When the original's password is current again, its holder sets the role that its sessions act as.
        let sql = format!("ALTER ROLE {user} SET role TO postgres");
        pair.as_user(&world.current(), &sql).await.unwrap();
        let owner = "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'trap'";
        let before = pair.value(owner).await;
        refused(&pair, &world, &["setSecret: NotOurs:", "act as \"postgres\", and it may not"]).await;
        assert_eq!(pair.value(owner).await, before, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_grants_itself_to_others_proves_nothing() {
    for version in [14, 18] {
        let pair = pair(version).await;
        let user = &pair.app.user;
        let victim = pair.clone_name();
        // On 14 a role may grant itself. On newer servers an admin has to, which proves just as little.
        pair.app
            .server
            .execute(&format!("CREATE ROLE {victim} LOGIN PASSWORD 'unknown'; GRANT {user} TO {victim}"))
            .await
            .unwrap();
        let world = pair.world().await;
        refused(&pair, &world, &["setSecret: NotOurs:", &victim]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_can_write_a_mark_on_any_version() {
    for version in Postgres::versions().await.unwrap() {
        let pair = Pair::new(version, Power::Superuser).await;
        let user = &pair.app.user;
        let me = json!({"username": user, "password": FIRST});
        let error =
            pair.as_user(&me, &format!("COMMENT ON ROLE {user} IS 'turnlock:arn'")).await.unwrap_err();
        assert!(error.contains("CREATEROLE") || error.contains("permission denied"), "{version}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_counts_for_its_own_secret_only() {
    let pair = pair(16).await;
    let other = pair.clone_name();
    pair.app.server.execute(&format!("CREATE ROLE {other} LOGIN PASSWORD 'unknown'")).await.unwrap();
    let world = pair.world().await;
    let arn = world.lab.secrets().arn(&world.secret).unwrap();
    for mark in [
        "arn:aws:secretsmanager:us-east-1:000000000000:secret:other-AbCdEf".to_owned(),
        format!("{arn}x"),
        arn[..arn.len() - 1].to_owned(),
    ] {
        pair.app.server.execute(&format!("COMMENT ON ROLE {other} IS 'turnlock:{mark}'")).await.unwrap();
        refused(&pair, &world, &["setSecret: NotOurs:", &format!("turnlock:{arn}")]).await;
    }
    pair.app
        .server
        .execute(&format!("COMMENT ON ROLE {other} IS 'the other half; turnlock:{arn} (asked for by ops)'"))
        .await
        .unwrap();
    world.rotate().await.unwrap();
    let comment = pair.value(&format!("SELECT shobj_description('{other}'::regrole, 'pg_authid')")).await;
    assert_eq!(comment.unwrap(), format!("the other half; turnlock:{arn} (asked for by ops)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_another_host_or_port_proves_nothing() {
    // A server of the attacker, with an account of the right name and password, and a name that begins like the real one.
    let pair = pair(16).await;
    let theirs = App::on(Postgres::version(16).start().await.unwrap().into()).await;
    let rds = listing(&[], pair.app.server.port()).await;
    let url = rds.url();
    let env = [("AWS_ENDPOINT_URL_RDS", url.as_str())];
    let world = pair.world_with(&env, |secret| {
        secret["host"] = "127.0.0.1".into();
        secret["port"] = theirs.server.port().into();
        secret["username"] = theirs.user.as_str().into();
    });
    refused(&pair, &world.await, &["setSecret: NotOurs:", "127.0.0.1", "localhost"]).await;
    // With the same host and another port, that server is not asked: the proof is made on the server that would be changed.
    let port = theirs.server.port();
    let world = pair.world_with(&[], |secret| {
        secret["port"] = port.into();
        secret["username"] = "postgres_of_theirs".into();
    });
    refused(&pair, &world.await, &["setSecret: LockedOut:"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_masterarn_is_not_followed() {
    let pair = pair(16).await;
    let theirs = Postgres::version(16).start().await.unwrap();
    let rds = listing(&[], pair.app.server.port()).await;
    let url = rds.url();
    let world = pair.world_with(&[("AWS_ENDPOINT_URL_RDS", url.as_str())], |_| ()).await;
    pair.add_admin(&world, "their/admin", |secret| {
        secret["host"] = "127.0.0.1".into();
        secret["port"] = theirs.port().into();
        secret["password"] = theirs.superuser_password().into();
    });
    let mut value = world.current();
    value["masterarn"] = "their/admin".into();
    let token = "00000000-0000-4000-8000-00000000000a";
    world.put(token, &value, "AWSCURRENT").unwrap();
    refused(&pair, &world, &["setSecret: NotOurs:", "127.0.0.1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_between_the_steps_are_refused() {
    let pair = pair(16).await;
    for (key, value) in [
        ("host", json!("127.0.0.1")),
        ("port", json!(1)),
        ("dbname", json!("template1")),
        ("username", json!("postgres")),
        ("masterarn", json!("other")),
        ("ssl", json!(false)),
    ] {
        let world = pair.world().await;
        let before = roles(&pair.app.server).await;
        let error = world.set_edited(key, value).await.unwrap_err();
        let kind = if key == "username" { "BadSecret:" } else { "Conflict:" };
        assert!(error.starts_with(kind) && error.contains(key), "{key}: {error}");
        assert!(roles(&pair.app.server).await == before, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_in_use_is_never_the_one_to_be_changed() {
    let pair = pair(16).await;
    let world = pair.world().await;
    let token = world.begin().unwrap();
    // As if the strategy or the label had changed in the middle of a rotation.
    let mut pending = world.current();
    pending["password"] = "another-password-for-the-same-user".into();
    world.put(&token, &pending, "AWSPENDING").unwrap();
    let before = roles(&pair.app.server).await;
    let error = world.step(&token, lab::rotation::Step::SetSecret).await.unwrap_err().to_string();
    assert!(error.starts_with("BadSecret:") && error.contains("username"), "{error}");
    assert!(roles(&pair.app.server).await == before && pair.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_refuses_a_server_that_accepts_any_password() {
    let server = Postgres::version(16).auth(Auth::Trust).start().await.unwrap();
    let pair = Pair::on(server.into(), Power::Superuser).await;
    let world = pair.world().await;
    refused(&pair, &world, &["setSecret: NotOurs:", "trust"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_owner_sets_traps_does_not_catch_the_admin() {
    let pair = pair(16).await;
    let user = &pair.app.user;
    let traps = format!(
        "CREATE DATABASE trap OWNER {user}; ALTER DATABASE trap SET search_path TO evil, pg_catalog; ALTER DATABASE trap SET role TO {user}; \
         ALTER DATABASE trap SET default_transaction_read_only TO on; ALTER DATABASE trap SET standard_conforming_strings TO off"
    );
    for sql in traps.split("; ") {
        pair.app.server.execute(sql).await.unwrap();
    }
    let evil = |signature: &str, result: &str| {
        format!(
            "CREATE FUNCTION evil.{signature} RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE {user} SUPERUSER'; RETURN NULL; END $$"
        )
    };
    let sql = format!(
        "CREATE SCHEMA evil; SET search_path TO pg_catalog; {}; {}; {}; {}; {}; COMMIT",
        evil("pg_advisory_xact_lock(bigint)", "void").replace("RETURN NULL; ", ""),
        evil("current_setting(text)", "text"),
        evil("shobj_description(oid, name)", "text"),
        evil("now()", "timestamptz"),
        evil("substr(text, int)", "text"),
    );
    pair.app
        .server
        .execute_in("trap", &format!("BEGIN READ WRITE; SET LOCAL role TO {user}; {sql}"))
        .await
        .unwrap();
    let world = pair.world_with(&[], |secret| {
        secret["dbname"] = "trap".into();
        secret["test_statement"] = "SELECT 1".into();
    });
    let world = world.await;
    for _ in 0..2 {
        world.rotate().await.unwrap();
    }
    assert_eq!(
        pair.value(&format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{user}'")).await.unwrap(),
        "f"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_another_engine_or_without_a_secret_is_refused() {
    let pair = pair(16).await;
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 3] = [
        ("mysql", |secret| secret["engine"] = "mysql".into(), "BadSecret:"),
        ("password", |secret| drop(secret.as_object_mut().unwrap().remove("password")), "BadSecret:"),
        ("28P01", |secret| secret["password"] = "not the admin's".into(), "CredentialRejected:"),
    ];
    for (part, change, kind) in cases {
        let world = pair.app.world_with(&[], |secret| secret["masterarn"] = ADMIN_SECRET.into()).await;
        pair.add_admin(&world, ADMIN_SECRET, change);
        refused(&pair, &world, &[kind, part, ADMIN_SECRET]).await;
    }
    let world = pair.app.world_with(&[], |secret| secret["masterarn"] = "no/such".into()).await;
    refused(&pair, &world, &["BadSecret:", "no/such"]).await;
}
