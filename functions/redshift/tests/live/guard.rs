//! An admin changes only the secret's own users, and only on the secret's own cluster.

use serde_json::json;

use super::app::{ADMIN_SECRET, App, FIRST};

/// A change that spoils an admin's secret.
type Change = fn(&mut serde_json::Value);

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_for_somebodys_clone_does_not_take_over_somebody() {
    // AWS's function sets the password of `victim` and stores it in the secret.
    let app = App::new().await;
    let victim = app.user.clone();
    app.execute(&format!(
        "CREATE USER {victim}_clone PASSWORD '{FIRST}'; ALTER USER {victim} PASSWORD 'Another-password-1'"
    ))
    .await;
    let world =
        app.pair_world_with(&[], |secret| secret["username"] = format!("{victim}_clone").into()).await;
    let error = world.rotate().await.unwrap_err();
    assert!(
        error.contains("NotOurs:") && error.contains(&victim) && error.contains("ALTER GROUP"),
        "{error}"
    );
    assert!(app.server.can_login(&victim, "Another-password-1").await.unwrap());
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alternate_that_somebody_else_made_is_not_taken_over_until_an_admin_says_so() {
    let app = App::new().await;
    let other = app.clone_name();
    app.execute(&format!("CREATE USER {other} PASSWORD 'Another-password-1'")).await;
    let world = app.pair_world().await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.contains("NotOurs:"), "{error}");
    assert!(app.server.can_login(&other, "Another-password-1").await.unwrap());
    // The error has the statements with which an admin confirms the user.
    let from = error.find("CREATE GROUP").unwrap();
    let to = error[from..].find("; if it is not").unwrap();
    app.execute(&error[from..from + to]).await;
    world.abandon().unwrap();
    world.rotate().await.unwrap();
    assert_eq!(world.current()["username"], other.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_rotation_does_not_lock_the_alternate_out() {
    let app = App::new().await;
    let world = app.pair_world().await;
    for _ in 0..2 {
        let token = world.begin().unwrap();
        world.step(&token, lab::rotation::Step::CreateSecret).await.unwrap();
        world.step(&token, lab::rotation::Step::SetSecret).await.unwrap();
        world.abandon().unwrap();
        assert!(app.accepts(&world.current()).await);
    }
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_another_cluster_an_unknown_one_and_the_user_itself_are_refused() {
    let app = App::new().await;
    let cases: &[(&str, Change, &str)] = &[
        ("another host", |secret| secret["host"] = "127.0.0.1".into(), "the secret's host"),
        ("another engine", |secret| secret["engine"] = "postgres".into(), "BadSecret:"),
        ("a wrong password", |secret| secret["password"] = "wrong".into(), "the admin secret"),
    ];
    for (case, change, part) in cases {
        let world = app.world_with(&[], |secret| secret["masterarn"] = ADMIN_SECRET.into()).await;
        let mut admin = app.admin_secret();
        change(&mut admin);
        world.lab.secrets().create(ADMIN_SECRET, &admin.to_string()).unwrap();
        let error = world.rotate().await.expect_err(case);
        assert!(error.contains(part), "{case}: {error}");
    }
    let world = app.world_with(&[], |secret| secret["masterarn"] = ADMIN_SECRET.into()).await;
    world.lab.secrets().create(ADMIN_SECRET, &app.secret().to_string()).unwrap();
    let error = world.rotate().await.unwrap_err();
    assert!(error.contains("is the admin itself"), "{error}");
    let world = app.world_with(&[], |secret| secret["masterarn"] = "prod/none".into()).await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.contains("prod/none"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_that_is_no_superuser_is_refused_for_two_users_and_named() {
    // The views would show it only its own privileges, so it would copy nothing.
    let app = App::new().await;
    let admin = format!("admin_{}", app.user);
    app.execute(&format!("CREATE USER {admin} PASSWORD '{FIRST}'")).await;
    let world = app.world_with(&[], |secret| secret["masterarn"] = ADMIN_SECRET.into()).await;
    let mut secret = app.secret();
    secret["username"] = admin.as_str().into();
    world.lab.secrets().create(ADMIN_SECRET, &secret.to_string()).unwrap();
    let error = world.rotate().await.unwrap_err();
    assert!(
        error.contains("ServerRefused:") && error.contains("no superuser") && error.contains(&admin),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn create_users_false_and_a_missing_original_are_told() {
    let app = App::new().await;
    let world = app.pair_world_with(&[], |secret| secret["create_users"] = json!(false)).await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.contains("does not exist") && error.contains("create_users"), "{error}");
    let clone = App::named(app.server.clone(), &format!("{}x_clone", app.user)).await;
    let error = clone.pair_world().await.rotate().await.unwrap_err();
    assert!(error.contains("the original user") && error.contains("does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_passwords_can_be_reset_by_the_admin_if_the_deployment_allows_it() {
    for strategy in ["admin", "alternating-users"] {
        let app = App::new().await;
        app.execute(&format!("ALTER USER {} PASSWORD 'Changed-by-hand-1'", app.user)).await;
        let locked = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let error = locked.rotate().await.unwrap_err();
        assert!(error.contains("LockedOut:") && error.contains("28000"), "{error}");
        let allowed =
            app.pair_world_with(&[("ADMIN_RESET", "true")], |secret| secret["strategy"] = strategy.into());
        let allowed = allowed.await;
        allowed.rotate().await.unwrap();
        assert!(app.accepts(&allowed.current()).await && allowed.output().contains("ADMIN_RESET"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_name_that_ends_a_question_is_a_name() {
    let app = App::new().await;
    let mallory = format!("m{}", app.user);
    app.execute(&format!("CREATE USER {mallory} PASSWORD '{FIRST}'")).await;
    let odd = format!("); ALTER USER {mallory} CREATEUSER; --{{alternate}}");
    let world = app.pair_world_with(&[], |secret| secret["alternate_username"] = odd.as_str().into()).await;
    let outcome = world.rotate().await;
    let sql = format!("SELECT usesuper FROM pg_user WHERE usename = '{mallory}'");
    assert_eq!(app.column(&sql).await, ["f"], "{outcome:?}");
    outcome.unwrap();
    assert_eq!(world.current()["username"], odd);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_proves_one_user_only_does_not_get_what_the_other_has() {
    let (mine, victim) = (App::new().await, App::new().await);
    let table = format!("t_{}", victim.user);
    mine.execute(&format!("CREATE TABLE {table} (a int); GRANT SELECT ON {table} TO {}", victim.user)).await;
    mine.execute(&format!("ALTER USER {} CREATEUSER", victim.user)).await;
    let world = mine.pair_world_with(&[], |secret| {
        secret["original_username"] = victim.user.as_str().into();
        secret["alternate_username"] = mine.user.as_str().into();
    });
    let world = world.await;
    // The first version becomes AWSPREVIOUS, and is the one that logs in.
    let mut names_victim = world.current();
    names_victim["username"] = victim.user.as_str().into();
    names_victim["password"] = "Junk-that-is-wrong-1".into();
    world.put("00000000-0000-4000-8000-000000000001", &names_victim, "AWSCURRENT").unwrap();
    let outcome = world.rotate().await;
    let has =
        format!("SELECT privilege_type FROM svv_relation_privileges WHERE identity_name = '{}'", mine.user);
    assert!(mine.column(&has).await.is_empty(), "{outcome:?}");
    let is_superuser = format!("SELECT usesuper FROM pg_user WHERE usename = '{}'", mine.user);
    assert_eq!(mine.column(&is_superuser).await, ["f"], "{outcome:?}");
    assert!(world.output().contains("nothing proves its user"), "{outcome:?}");
    assert!(victim.server.can_login(&victim.user, FIRST).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_of_another_secret_is_not_copied() {
    // Otherwise the other secret could change the alternate.
    let app = App::new().await;
    let mark = format!("turnlock_{:032x}", std::process::id());
    app.execute(&format!("CREATE GROUP {mark} WITH USER {}", app.user)).await;
    let world = app.pair_world().await;
    world.rotate().await.unwrap();
    let members =
        format!("SELECT usename FROM pg_user, pg_group WHERE usesysid = ANY(grolist) AND groname = '{mark}'");
    assert_eq!(app.column(&members).await, [app.user.as_str()]);
    app.execute(&format!("ALTER GROUP {mark} ADD USER {}", app.clone_name())).await;
    world.rotate().await.unwrap();
    world.rotate().await.unwrap();
    assert_eq!(app.column(&members).await.len(), 2, "what an admin has marked stays so");
    app.execute(&format!("DROP GROUP {mark}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_is_left_alone_keeps_its_own_last_day() {
    let (app, partner) = (App::new().await, App::new().await);
    let until = |user: &str, day: &str| format!("ALTER USER {user} PASSWORD '{FIRST}' VALID UNTIL '{day}'");
    app.execute(&until(&app.user, "2098-12-31")).await;
    app.execute(&until(&partner.user, "2088-11-30")).await;
    let world = app.pair_world_with(&[], |secret| {
        secret["alternate_username"] = partner.user.as_str().into();
        secret["sync"] = "none".into();
    });
    let world = world.await;
    let error = world.rotate().await.unwrap_err();
    let from = error.find("CREATE GROUP").unwrap();
    let to = error[from..].find("; if it is not").unwrap();
    app.execute(&error[from..from + to]).await;
    world.abandon().unwrap();
    world.rotate().await.unwrap();
    let day = format!("SELECT valuntil FROM pg_user WHERE usename = '{}'", partner.user);
    assert!(app.column(&day).await[0].starts_with("2088-11-30"), "{:?}", app.column(&day).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_version_with_another_strategy_or_another_pair_changes_nobody() {
    for (strategy, field, value) in [
        ("admin", "strategy", "single-user"),
        ("alternating-users", "strategy", "admin"),
        ("alternating-users", "alternate_username", "somebody"),
    ] {
        let app = App::new().await;
        let world = app.pair_world_with(&[], |secret| secret["strategy"] = strategy.into()).await;
        let error = world.set_edited(field, value.into()).await.unwrap_err();
        assert!(error.starts_with("Conflict:"), "{strategy} {field}: {error}");
        assert!(app.accepts(&world.current()).await, "{strategy} {field}");
    }
}
