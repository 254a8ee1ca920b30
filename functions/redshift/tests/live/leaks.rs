//! No password leaves: not into the function's output, not into an error; and into the cluster only as a hash.

use lab::rotation::Step;

use super::app::{App, FIRST};

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_the_functions_output_or_in_a_statement() {
    for strategy in ["single-user", "admin", "alternating-users"] {
        let app = App::new().await;
        let env = [("RUST_LOG", "trace")];
        let world = app.pair_world_with(&env, |secret| secret["strategy"] = strategy.into()).await;
        world.rotate().await.unwrap();
        world.rotate().await.unwrap();
        let (output, queries) = (world.output(), app.server.queries());
        let mut passwords: Vec<String> =
            world.values().iter().map(|value| value["password"].as_str().unwrap().to_owned()).collect();
        passwords.push(app.server.admin_password().to_owned());
        assert!(passwords.len() >= 3);
        for password in &passwords {
            assert!(!output.contains(&password[4..16]), "{strategy}: {password} is in the output");
            let by_hand = |sql: &&String| sql.starts_with("CREATE USER app_") || sql.contains(FIRST);
            let sent = queries.iter().find(|sql| sql.contains(&password[4..16]) && !by_hand(sql));
            assert!(sent.is_none(), "{strategy}: {password} was sent in {sent:?}");
        }
        // Nor the hash, which is as good as the password to an md5 login.
        for sql in queries.iter().filter(|sql| sql.contains(&app.user)) {
            if let Some(at) = sql.find("'md5") {
                assert!(!output.contains(&sql[at + 1..at + 36]), "{strategy}: a hash is in the output");
            }
        }
        assert!(output.contains("the step is done"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_an_error_however_the_server_quotes_it() {
    let app = App::new().await;
    let world = app.world().await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    let mut pending = world.labelled("AWSPENDING").unwrap();
    let password = pending["password"].as_str().unwrap().to_owned();
    pending["test_statement"] = format!("SELECT '{password}'::int").into();
    world.lab.secrets().remove_label(&world.secret, "AWSPENDING").unwrap();
    let next = world.begin().unwrap();
    world.lab.secrets().put(&world.secret, &next, &pending.to_string(), &["AWSPENDING"]).unwrap();
    let error = world.step(&next, Step::TestSecret).await.unwrap_err().to_string();
    assert!(
        error.contains("22P02") && error.contains("[hidden]") && !error.contains(&password[4..16]),
        "{error}"
    );
}
