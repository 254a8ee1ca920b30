//! Valid but awkward user names.

use lab::servers::Postgres;

use super::app::App;

#[tokio::test(flavor = "multi_thread")]
async fn odd_user_names_rotate() {
    let server = Postgres::shared(17).await.unwrap();
    let longest = "x".repeat(63);
    let names = [
        "UPPER",
        "with space",
        " leading",
        "trailing ",
        "quo\"te",
        "apo'strophe",
        "back\\slash",
        "per%cent",
        "semi;colon",
        "drop table; --",
        "Ünïcödé",
        "用户",
        "$1",
        "a=b",
        "new\nline",
        "tab\there",
        &longest,
    ];
    for name in names {
        let app = App::named(server.clone(), name).await;
        let world = app.world().await;
        for _ in 0..2 {
            world.rotate().await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
        }
        assert!(app.accepts(&world.current()).await, "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_server_would_cut_is_refused_before_anything_is_made() {
    let app = App::new(17).await;
    for name in ["x".repeat(64), "ü".repeat(32), "nul\0".to_owned()] {
        let world = app.world_with(&[], |secret| secret["username"] = name.as_str().into()).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("createSecret: BadSecret:"), "{error}");
        assert_eq!(world.labelled("AWSPENDING"), None);
    }
}
