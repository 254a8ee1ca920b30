//! Redshift accepts every password made here; and the forms in which passwords are sent and stored.

use super::app::{App, FIRST};

#[tokio::test(flavor = "multi_thread")]
async fn redshift_accepts_a_password_of_every_policy_that_the_environment_may_set() {
    for env in [
        &[("PASSWORD_LENGTH", "64")][..],
        &[("PASSWORD_LENGTH", "12")],
        &[("EXCLUDE_CHARACTERS", "")],
        &[("EXCLUDE_PUNCTUATION", "true"), ("REQUIRE_EACH_INCLUDED_TYPE", "false")],
        &[("REQUIRE_EACH_INCLUDED_TYPE", "false"), ("PASSWORD_LENGTH", "11")],
    ] {
        for form in ["hashed", "plaintext"] {
            let app = App::new().await;
            let env = [env, &[("PASSWORD_FORM", form)]].concat();
            let world = app.world_with(&env, |_| ()).await;
            for _ in 0..2 {
                world.rotate().await.unwrap_or_else(|error| panic!("{env:?}: {error}"));
                assert!(app.accepts(&world.current()).await, "{env:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_contradicts_redshift_is_refused_and_explained() {
    let app = App::new().await;
    for (env, part) in [
        (("PASSWORD_LENGTH", "65"), "takes 8 to 64"),
        (("PASSWORD_LENGTH", "7"), "takes 8 to 64"),
        (("EXCLUDE_NUMBERS", "true"), "insists on one of 0123456789"),
        (("EXCLUDE_UPPERCASE", "true"), "insists on one of ABC"),
        (("EXCLUDE_LOWERCASE", "true"), "insists on one of abc"),
        (("EXCLUDE_CHARACTERS", "0123456789"), "insists on one of 0123456789"),
        (("PASSWORD_LENGTH", "8"), "bits of entropy"),
    ] {
        let world = app.world_with(&[env], |_| ()).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("createSecret: BadPolicy:") && error.contains(part), "{env:?}: {error}");
        assert_eq!((world.current()["password"].as_str(), world.labelled("AWSPENDING")), (Some(FIRST), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_sent_as_md5_unless_the_deployment_says_otherwise() {
    for (form, expected) in [("hashed", "PASSWORD 'md5"), ("plaintext", "PASSWORD '")] {
        for strategy in ["single-user", "admin", "alternating-users"] {
            let app = App::new().await;
            let env = [("PASSWORD_FORM", form)];
            let world = app.pair_world_with(&env, |secret| secret["strategy"] = strategy.into()).await;
            world.rotate().await.unwrap();
            let password = world.current()["password"].as_str().unwrap().to_owned();
            let user = world.current()["username"].as_str().unwrap().to_owned();
            let sent = app.server.queries();
            let sent: Vec<&String> =
                sent.iter().filter(|sql| sql.contains(&format!("ALTER USER \"{user}\" PASSWORD"))).collect();
            assert!(!sent.is_empty() && sent.iter().all(|sql| sql.contains(expected)), "{sent:?}");
            assert_eq!(sent.iter().any(|sql| sql.contains(&password)), form == "plaintext");
            assert!(!sent.iter().any(|sql| sql.contains("sha256|")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_sha256_password_is_told_what_to_do_and_can_then_rotate() {
    let app = App::new().await;
    app.execute(&format!("ALTER USER {} PASSWORD 'sha256|{FIRST}'", app.user)).await;
    let world = app.world().await;
    let error = world.rotate().await.unwrap_err();
    for part in ["setSecret: ServerRefused:", "sha256|...", "message 13", "ALTER USER", "do not speak"] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    app.execute(&format!("ALTER USER {} PASSWORD '{FIRST}'", app.user)).await;
    world.abandon().unwrap();
    world.rotate().await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_does_not_act_for_a_user_that_cannot_prove_itself() {
    let app = App::new().await;
    app.execute(&format!("ALTER USER {} PASSWORD 'sha256|{FIRST}'", app.user)).await;
    let world = app.pair_world_with(&[], |secret| secret["strategy"] = "admin".into()).await;
    let error = world.rotate().await.unwrap_err();
    // The user cannot prove that it is the secret's, so the admin does not act for it either.
    assert!(error.contains("sha256|..."), "{error}");
}
