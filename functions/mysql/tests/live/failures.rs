//! Failures of AWS's functions, and failures on the way to a server. Each test is named after what happens.

use std::time::Duration;

use lab::certs::Authority;
use lab::proxy::{OnConnect, Protocol, Proxy};
use lab::rotation::Step;
use lab::servers::{MySql, MySqlOptions, Release, Tls};
use lab::world::World;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::app::{App, FIRST};

async fn releases() -> Vec<Release> {
    MySql::releases().await.expect("releases are known")
}

async fn on(options: MySqlOptions) -> App {
    App::on(options.start().await.expect("the server starts").into()).await
}

async fn execute(app: &App, sql: &str) {
    app.server.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_a_silent_peer_and_a_wrong_name_are_told_apart() {
    let app = App::new(Release::MYSQL_9).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let world = app.world_with(&[], |secret| secret["port"] = free.into()).await;
    let place = format!("no TCP connection to localhost:{free}");
    world.fails(&["setSecret: Unreachable:", &place, "Connection refused", "nothing listens there"]).await;

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for ssl in [true, false] {
        let world = app.world_with(&[], |secret| {
            secret["port"] = port.into();
            secret["ssl"] = ssl.into();
        });
        let place = format!("localhost:{port}");
        world.await.fails(&["setSecret: Unreachable:", "the login of", &place, "says nothing"]).await;
    }

    let world = app.world_with(&[], |secret| secret["host"] = "no-such-host.invalid".into()).await;
    world.fails(&["setSecret: Unreachable:", "no-such-host.invalid", "resolve"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_speaks_another_protocol_or_sends_without_end_is_named() {
    let app = App::new(Release::MYSQL_9).await;
    for greeting in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\xff\xff\xff\x00",
        b"\x05\x00\x00\x00\x0ajunk",
        b"\x00\x00\x00\x00",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(greeting).await;
                open.push(stream);
            }
        });
        let world = app.world_with(&[], |secret| secret["port"] = port.into()).await;
        world.fails(&["setSecret: Unreachable:", &format!("localhost:{port}")]).await;
        peer.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_a_wrong_name_and_an_expired_one_are_told_apart() {
    for release in releases().await {
        for (tls, parts) in [
            (Tls::UnknownAuthority, ["authority that is not trusted", "sslrootcert"]),
            (Tls::WrongName, ["not valid for", "another name"]),
            (Tls::Expired, ["expired", "renew it"]),
        ] {
            let app = on(MySql::release(release).tls(tls)).await;
            let world = app.world().await;
            let common = ["setSecret: Unreachable:", "the TLS handshake with localhost:"];
            world.fails(&[&common, &parts[..]].concat()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_and_never_sent_anything_in_clear() {
    // AWS's function retries in plaintext if the secret has no "ssl" or an unknown value.
    for release in releases().await {
        let app = on(MySql::release(release).tls(Tls::Off).setting("general_log", "1")).await;
        let before = app.server.general_log().len();
        for ssl in [Value::Null, json!("yes"), json!(1), json!("")] {
            let world = app.world_with(&[], |secret| secret["ssl"] = ssl).await;
            world.fails(&["setSecret: Unreachable:", "does not offer TLS", "\"ssl\": false"]).await;
        }
        let log = app.server.general_log()[before..].to_owned();
        assert!(!log.contains(&format!("Connect\t{}@", app.user)), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_an_answer_and_names_every_version_that_was_tried() {
    for release in releases().await {
        let app = App::new(release).await;
        let world = app.world_with(&[], |secret| secret["password"] = "not the password at all".into()).await;
        let error = world.fails(&["setSecret: LockedOut:", "AWSCURRENT", "1045", "ADMIN_RESET"]).await;
        assert!(error.contains("AWSPENDING") && !error.contains("not the password"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_a_server_that_accepts_any_password_proves_nothing() {
    for release in releases().await {
        // An anonymous account has the same password. The server accepts the login, but as another account.
        let app = on(MySql::release(release)).await;
        execute(&app, &format!("CREATE USER ''@'%' IDENTIFIED BY '{FIRST}'")).await;
        execute(&app, &format!("DROP USER {}", app.account())).await;
        let world = app.world().await;
        world.fails(&["setSecret: NotOurs:", "became a session of", "anonymous"]).await;
    }
    // A server that checks no passwords. MySQL would not even listen then.
    let server = MySql::release(Release::MARIADB_10).setting("skip_grant_tables", "1").start().await.unwrap();
    let secret = json!({
        "engine": "mariadb", "host": server.host(), "port": server.port(), "username": "app", "password": FIRST,
        "sslrootcert": server.ca_pem(),
    });
    let world = World::new("rotate-mysql", &[], &secret).await.unwrap();
    world.fails(&["setSecret: NotOurs:", "skip-grant-tables"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_expired_and_crowded_accounts_are_explained() {
    for release in releases().await {
        let cases: &[(&str, &str, &[&str])] = &[
            ("ACCOUNT LOCK", "ACCOUNT UNLOCK", &["ServerRefused", "account is locked", "ACCOUNT UNLOCK"]),
            (
                "WITH MAX_CONNECTIONS_PER_HOUR 1",
                "WITH MAX_CONNECTIONS_PER_HOUR 0",
                &["Unreachable", "1226", "resource limit"],
            ),
            ("REQUIRE X509", "REQUIRE NONE", &["LockedOut", "1045"]),
        ];
        for (clause, undo, parts) in cases {
            let app = App::new(release).await;
            execute(&app, &format!("ALTER USER {} {clause}", app.account())).await;
            // One login uses up the hour's limit.
            let _ = app.server.can_login(&app.user, FIRST, "").await;
            let world = app.world().await;
            world.fails(parts).await;
            execute(&app, &format!("ALTER USER {} {undo}", app.account())).await;
            let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").unwrap();
            let rotated = if parts.contains(&"LockedOut") {
                // For a while no more passwords are sent for this token.
                world.abandon().unwrap();
                world.rotate().await.map(drop)
            } else {
                world.steps(&token).await
            };
            rotated.unwrap_or_else(|error| panic!("{release} {clause}: {error}"));
        }
        let app = App::new(release).await;
        execute(&app, &format!("ALTER USER {} PASSWORD EXPIRE", app.account())).await;
        app.world().await.fails(&["ServerRefused", "expired"]).await;
        let app = App::new(release).await;
        let world = app.world_with(&[], |secret| secret["dbname"] = "no_such_database".into()).await;
        world.fails(&["BadSecret", "dbname"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_not_driven_into_its_login_lock() {
    for release in releases().await {
        let server = match release.flavor {
            lab::servers::Flavor::MySql => MySql::release(release),
            lab::servers::Flavor::MariaDb => MySql::release(release).setting("max_password_errors", "3"),
        };
        let app = on(server).await;
        if !app.is_mariadb() {
            let sql =
                format!("ALTER USER {} FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME UNBOUNDED", app.account());
            execute(&app, &sql).await;
        }
        let world = app.world_as("admin", |secret| secret["password"] = "wrong-wrong-wrong-1".into()).await;
        // Two more versions to try.
        for number in 2..=3 {
            let mut value = world.current();
            value["password"] = format!("wrong-wrong-wrong-{number}").into();
            let token = format!("00000000-0000-4000-8000-00000000000{number}");
            world.put(&token, &value, "AWSCURRENT").unwrap();
        }
        world.fails(&["setSecret: LockedOut:", "one more refusal may lock"]).await;
        // The right password still works, so the account was not locked.
        assert!(app.has(FIRST).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_a_policy_refuses_is_explained() {
    let app = on(MySql::release(Release::MYSQL_9)).await;
    execute(&app, "INSTALL COMPONENT 'file://component_validate_password'").await;
    let world = app.world_with(&[("EXCLUDE_NUMBERS", "true"), ("EXCLUDE_PUNCTUATION", "true")], |_| ()).await;
    world.fails(&["setSecret: ServerRefused:", "1819", "AWSPENDING"]).await;
    assert!(app.accepts(&world.current()).await);
    world.abandon().unwrap();
    let fitting = app.world().await;
    fitting.rotate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_has_to_show_its_current_password_rotates() {
    let app = App::new(Release::MYSQL_9).await;
    execute(&app, &format!("ALTER USER {} PASSWORD REQUIRE CURRENT", app.account())).await;
    let world = app.world().await;
    for _ in 0..2 {
        world.rotate().await.unwrap();
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pending_label_locks_nobody_out() {
    // AWS's functions never try a version without a label, so they could never log in again after this.
    for release in releases().await {
        let app = App::new(release).await;
        let world = app.world().await;
        for _ in 1..=2 {
            let token = world.begin().unwrap();
            world.step(&token, Step::CreateSecret).await.unwrap();
            world.step(&token, Step::SetSecret).await.unwrap();
            world.abandon().unwrap();
            assert!(!app.accepts(&world.current()).await);
        }
        world.rotate().await.unwrap();
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_named_as_the_reason() {
    for release in releases().await {
        let app = on(MySql::release(release)).await;
        execute(&app, "SET GLOBAL read_only = ON").await;
        app.world().await.fails(&["setSecret: ServerRefused:", "read_only is on", "replica"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_get_no_rows_and_only_read_by_default_rotate() {
    for release in releases().await {
        let app = on(MySql::release(release)).await;
        let world = app.world().await;
        for hostile in ["sql_select_limit = 0", "TRANSACTION READ ONLY"] {
            execute(&app, &format!("SET GLOBAL {hostile}")).await;
        }
        let rotated = world.rotate().await;
        for usual in ["sql_select_limit = 18446744073709551615", "TRANSACTION READ WRITE"] {
            execute(&app, &format!("SET GLOBAL {usual}")).await;
        }
        rotated.unwrap_or_else(|error| panic!("{release:?}: {error}"));
        assert!(app.accepts(&world.current()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_does_not_exist_is_a_refused_login_whatever_plugin_the_server_pretends() {
    let app = App::new(Release::MYSQL_9).await;
    for number in 0..16 {
        let world =
            app.world_with(&[], |secret| secret["username"] = format!("nobody_{number}").into()).await;
        let error = world.rotate().await.unwrap_err();
        assert!(error.starts_with("setSecret: LockedOut:"), "{number}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_is_never_tried_with_an_authority_that_it_did_not_trust() {
    // Otherwise a user who can write AWSCURRENT could name an authority of their own and receive older passwords.
    for release in MySql::releases().await.unwrap() {
        let app = App::new(release).await;
        let world = app.world_with(&[], |secret| secret["sslrootcert"] = Authority::new().pem().into()).await;
        let mut current = app.secret();
        current["password"] = "Wr0ng-0ne".into();
        world.put("00000000-0000-4000-8000-000000000001", &current, "AWSCURRENT").unwrap();
        world.fails(&["LockedOut", "no more was tried for this token"]).await;
        world.abandon().unwrap();
        world.fails(&["LockedOut", "AWSPREVIOUS", "UnknownIssuer"]).await;
        assert!(app.has(FIRST).await, "{release}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aurora_that_has_paused_itself_is_given_time_to_wake_up() {
    let app = App::new(Release::MYSQL_9).await;
    let proxy = Proxy::start(Protocol::MySql, "127.0.0.1", app.server.port()).await.unwrap();
    let world = app.world_with(&[], |secret| {
        secret["engine"] = "aurora-mysql".into();
        secret["port"] = proxy.port().into();
    });
    let world = world.await;
    let token = world.begin().unwrap();
    world.step(&token, Step::CreateSecret).await.unwrap();
    // Longer than any other host is waited for, and shorter than Aurora's 15 s.
    proxy.on_connect(OnConnect::Asleep(Duration::from_secs(7))).await.unwrap();
    world.step(&token, Step::SetSecret).await.unwrap();
    world.steps(&token).await.unwrap();
    assert!(app.accepts(&world.current()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_logs_in_with_iam_tokens_is_told_so_before_anything_is_changed() {
    // The plugin is RDS's own. Without it the server says that it is not loaded, as RDS does where IAM authentication is off.
    let app = on(MySql::release(Release::MYSQL_9)).await;
    let sql = "UPDATE mysql.user SET plugin = 'AWSAuthenticationPlugin', authentication_string = 'RDS' WHERE user = ";
    execute(&app, &format!("{sql}'{}'", app.user)).await;
    execute(&app, "FLUSH PRIVILEGES").await;
    for (strategy, env) in
        [("single-user", "false"), ("admin", "false"), ("dual-password", "false"), ("admin", "true")]
    {
        let world = app.world_of(strategy, &[("ADMIN_RESET", env)], |_| (), |_| ()).await;
        world.fails(&["setSecret: ServerRefused:", "AWSAuthenticationPlugin", "IAM tokens", "cancel"]).await;
        let stored =
            format!("SELECT plugin, authentication_string FROM mysql.user WHERE user = '{}'", app.user);
        let row = app.server.query(&stored).await.unwrap().remove(0);
        assert_eq!(row, [Some("AWSAuthenticationPlugin".to_owned()), Some("RDS".to_owned())]);
    }
}
