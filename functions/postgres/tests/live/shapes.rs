//! The other shapes of a pair: a role that owns everything, users that exist beforehand, and an admin for one user alone.

use lab::rotation::Step;
use lab::servers::Postgres;
use serde_json::json;

use super::app::App;
use super::pair::{Pair, Power, first};

#[tokio::test(flavor = "multi_thread")]
async fn both_users_act_as_the_owner_role() {
    for version in Postgres::versions().await.unwrap() {
        let pair = Pair::new(version, Power::CreateRole).await;
        let (app, server) = (&pair.app.user, &pair.app.server);
        let owner = format!("owner_of_{app}");
        server
            .execute(&format!("CREATE ROLE {owner} NOLOGIN; CREATE SCHEMA {owner} AUTHORIZATION {owner}"))
            .await
            .unwrap();
        let world = pair.world_with(&[], |secret| secret["owner_role"] = owner.as_str().into()).await;
        // The function grants the original no role just because a secret names it. The error has the admin's statements.
        let error = world.rotate().await.unwrap_err();
        let (_, statements) = error.split_once("say so: ").unwrap_or_else(|| panic!("{error}"));
        server.execute(statements).await.unwrap();
        let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
        world.steps(&token).await.unwrap();
        for round in 0..3 {
            let current = world.current();
            let sql = format!(
                "CREATE TABLE {owner}.t_{round} (); SELECT tableowner || ' ' || current_user FROM pg_tables WHERE tablename = 't_{round}' AND schemaname = '{owner}'"
            );
            assert_eq!(
                pair.as_user(&current, &sql).await.unwrap(),
                [format!("{owner} {owner}")],
                "{version} {round}"
            );
            world.rotate().await.unwrap();
            pair.as_user(&world.current(), &format!("ALTER TABLE {owner}.t_{round} ADD COLUMN x int"))
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_made_beforehand_is_proven_by_a_mark_on_every_version() {
    for version in Postgres::versions().await.unwrap() {
        a_pair_made_beforehand(&Pair::new(version, Power::CreateRole).await).await;
    }
}

async fn a_pair_made_beforehand(pair: &Pair) {
    let (app, server) = (&pair.app.user, &pair.app.server);
    let blue = format!("{app}_blue");
    let made = format!(
        "CREATE ROLE {blue} LOGIN PASSWORD 'blue-password'; GRANT {blue} TO {} WITH ADMIN OPTION; CREATE TABLE mine_{app} (); ALTER TABLE mine_{app} OWNER TO {blue}; CREATE ROLE extra_{app}; GRANT extra_{app} TO {blue}",
        pair.admin
    );
    server.execute(&made).await.unwrap();
    let world = pair.world_with(&[], |secret| secret["alternate_username"] = blue.as_str().into()).await;
    let error = world.rotate().await.unwrap_err();
    let (_, rest) = error.split_once("say so: ").unwrap_or_else(|| panic!("{error}"));
    let (statement, _) = rest.split_once(';').unwrap();
    let admin = server.connect(&pair.admin, &pair.admin_password, "postgres").await.unwrap();
    admin.batch_execute(statement).await.unwrap();
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap();
    // What the second user owns would be out of reach after the original's promotion.
    let error = world.rotate().await.unwrap_err();
    for part in
        ["ServerRefused", "owns an object that", &format!("REASSIGN OWNED BY \"{blue}\" TO \"{app}\"")]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    server.execute(&format!("ALTER TABLE mine_{app} OWNER TO {app}")).await.unwrap();
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap();
    for user in [&blue, app] {
        world.rotate().await.unwrap();
        let current = world.current();
        assert_eq!(current["username"], user.as_str());
        assert_eq!(
            (&current["original_username"], &current["alternate_username"]),
            (&json!(app), &json!(blue))
        );
        assert_eq!(pair.as_user(&current, "SELECT current_user").await.unwrap(), [app.as_str()]);
    }
    // Nothing was taken away, because the secret did not ask for it. The log says what the second user cannot use.
    let unused = "cannot use what it has of its own";
    assert!(world.output().contains(unused), "{}", world.output());
    assert!(
        world.output().contains(&format!("member of extra_{app}; 1 object of its own")),
        "{}",
        world.output()
    );
    let kept = pair.value(&format!("SELECT tableowner || pg_has_role('{blue}', 'extra_{app}', 'MEMBER') FROM pg_tables WHERE tablename = 'mine_{app}'")).await;
    assert_eq!(kept.unwrap(), format!("{app}true"));
    // With "exact" it is taken away.
    let mut value = world.current();
    value["sync"] = "exact".into();
    world.put("00000000-0000-4000-8000-0000000000bb", &value, "AWSCURRENT").unwrap();
    for _ in 0..2 {
        world.rotate().await.unwrap();
    }
    let left = pair.value(&format!("SELECT tableowner || pg_has_role('{blue}', 'extra_{app}', 'MEMBER') FROM pg_tables WHERE tablename = 'mine_{app}'")).await;
    assert!(
        left.as_deref().is_some_and(|left| left.starts_with(app) && !left.starts_with(&blue)),
        "{left:?}"
    );
    assert!(world.output().contains(&format!("REVOKE \\\"extra_{app}\\\" FROM")), "{}", world.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_sync_none_nothing_but_the_password_is_touched() {
    let pair = Pair::new(16, Power::CreateRole).await;
    let (app, server) = (&pair.app.user, &pair.app.server);
    let green = format!("{app}_green");
    let made = format!(
        "CREATE ROLE {green} LOGIN PASSWORD 'green-password' CONNECTION LIMIT 3; GRANT {green} TO {} WITH ADMIN OPTION",
        pair.admin
    );
    server.execute(&made).await.unwrap();
    let change = |secret: &mut serde_json::Value| {
        secret["alternate_username"] = green.as_str().into();
        secret["sync"] = "none".into();
    };
    let world = pair.world_with(&[], change).await;
    // A version that logs in as the second user proves that the user belongs to this secret.
    let mut value = world.current();
    value["original_username"] = app.as_str().into();
    value["username"] = green.as_str().into();
    value["password"] = "green-password".into();
    world.put("00000000-0000-4000-8000-0000000000cc", &value, "green").unwrap();
    let state = format!(
        "SELECT to_jsonb(r)::text || (SELECT count(*) FROM pg_auth_members WHERE member = r.oid) || coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles r WHERE rolname = '{green}'"
    );
    let before = pair.value(&state).await;
    for _ in 0..3 {
        let last = world.current();
        world.rotate().await.unwrap();
        assert!(pair.accepts(&last).await && pair.accepts(&world.current()).await);
    }
    assert_eq!(pair.value(&state).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alternate_that_may_not_be_made_is_asked_for() {
    let pair = Pair::new(16, Power::CreateRole).await;
    let world = pair.world_with(&[], |secret| secret["create_users"] = false.into()).await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.contains("setSecret: BadSecret:") && error.contains("create_users"), "{error}");
    // If an operator then creates and marks the user, the rotation completes it.
    let clone = pair.clone_name();
    let arn = world.lab.secrets().arn(&world.secret).unwrap();
    let admin = pair.app.server.connect(&pair.admin, &pair.admin_password, "postgres").await.unwrap();
    admin
        .batch_execute(&format!(
            "CREATE ROLE {clone} NOLOGIN NOINHERIT; COMMENT ON ROLE {clone} IS 'turnlock:{arn}'"
        ))
        .await
        .unwrap();
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
    world.steps(&token).await.unwrap();
    assert_eq!(
        pair.as_user(&world.current(), "SELECT current_user").await.unwrap(),
        [pair.app.user.as_str()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sets_the_password_of_one_user_on_every_version() {
    for version in Postgres::versions().await.unwrap() {
        let pair = Pair::new(version, Power::CreateRole).await;
        let world = pair.world_with(&[], |secret| secret["strategy"] = "admin".into()).await;
        for _ in 0..3 {
            let before = world.current();
            world.rotate().await.unwrap_or_else(|error| panic!("{version}: {error}"));
            assert_eq!(world.current()["username"], before["username"]);
            assert!(!pair.accepts(&before).await && pair.accepts(&world.current()).await, "{version}");
        }
        assert!(world.output().contains("\"DowntimeMilliseconds\":"));
        let role = pair
            .value(&format!("SELECT rolname FROM pg_roles WHERE rolname = '{}'", pair.clone_name()))
            .await;
        assert_eq!(role, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_is_reset_by_the_admin_only_where_the_deployment_says_so() {
    for strategy in ["admin", "alternating-users"] {
        let pair = Pair::new(16, Power::CreateRole).await;
        let lost = |secret: &mut serde_json::Value| {
            secret["strategy"] = strategy.into();
            secret["password"] = "nobody-knows-the-right-one".into();
        };
        let world = pair.world_with(&[], lost).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.contains("setSecret: LockedOut:") && error.contains("ADMIN_RESET"), "{error}");
        let world = pair.world_with(&[("ADMIN_RESET", "true")], lost).await;
        world.rotate().await.unwrap();
        assert!(pair.accepts(&world.current()).await && world.output().contains("ADMIN_RESET"));
        // With two users the original's turn comes next, and its password is lost too.
        world.rotate().await.unwrap();
        assert!(pair.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_security_label_that_cannot_be_copied_is_named_and_stops_nothing() {
    // PostgreSQL comes without a provider. Without one, only the catalog itself can be written.
    for version in Postgres::versions().await.unwrap() {
        let pair = Pair::new(version, Power::Superuser).await;
        let (app, clone) = (&pair.app.user, pair.clone_name());
        let label = |user: &str, provider: &str, label: &str| {
            format!(
                "SET allow_system_table_mods TO on; INSERT INTO pg_shseclabel (objoid, classoid, provider, label) \
                 SELECT oid, 'pg_authid'::regclass, '{provider}', '{label}' FROM pg_roles WHERE rolname = '{user}'"
            )
        };
        pair.app.server.execute(&label(app, "anon", "MASKED; it''s")).await.unwrap();
        let world = pair.world().await;
        world.rotate().await.unwrap();
        let copy = format!("SECURITY LABEL FOR anon ON ROLE {clone} IS 'MASKED; it''s'");
        assert!(world.output().contains(&copy), "{version}: {}", world.output());
        // Equal labels are left alone. Labels that only the alternate has are removed.
        pair.app.server.execute(&label(&clone, "anon", "MASKED; it''s")).await.unwrap();
        pair.app.server.execute(&label(&clone, "other", "x")).await.unwrap();
        world.rotate().await.unwrap();
        world.rotate().await.unwrap();
        let output = world.output();
        assert_eq!(output.matches(&copy).count(), 1, "{version}: {output}");
        let take = format!("SECURITY LABEL FOR other ON ROLE {clone} IS NULL");
        assert!(output.contains(&take) && output.contains("\"level\":\"WARN\""), "{version}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_secret_notices_an_alternate_that_does_not_act_as_it_should() {
    let pair = Pair::new(16, Power::Superuser).await;
    let world = pair.world().await;
    let token = world.begin().unwrap();
    for step in [Step::CreateSecret, Step::SetSecret] {
        world.step(&token, step).await.unwrap();
    }
    let (app, clone) = (&pair.app.user, pair.clone_name());
    // The server accepts such a session with only a warning.
    pair.app.server.execute(&format!("REVOKE {app} FROM {clone}")).await.unwrap();
    let error = world.step(&token, Step::TestSecret).await.unwrap_err().to_string();
    assert!(
        error.contains("ServerRefused:") && error.contains(&format!("GRANT \"{app}\" TO \"{clone}\"")),
        "{error}"
    );
    assert!(pair.accepts(&first(app)).await);
    // Running the steps again repairs it.
    world.steps(&token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf_8_is_no_panic() {
    let app = App::new(16).await;
    let world = app.world_with(&[], |secret| {
        secret["test_statement"] = "SET client_encoding TO 'LATIN1'; SELECT chr(252)".into();
    });
    let world = world.await;
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_fields_with_plain_words_leave_logs_and_remedies_readable() {
    let app = App::new(16).await;
    let world = app.world_with(&[], |secret| {
        secret["env"] = "postgres".into();
        secret["team"] = "rotate".into();
        secret["test_statement"] = "SELECT 1 / 0".into();
    });
    let world = world.await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.contains("division by zero") && !error.contains("[hidden]"), "{error}");
    let output = world.output();
    assert!(output.contains("\"target\":\"postgres\"") && !output.contains("[hidden]"), "{output}");
}
