//! The MySQL and MariaDB fixture: what it starts is what was asked for, and what it started is gone afterwards.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use lab::servers::{Flavor, MySql, Release, Tls};
use mysql_async::{Conn, Error, OptsBuilder, SslOpts};

const EACH_FLAVOR: [Release; 2] = [Release::MYSQL_9, Release::MARIADB_10];

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

async fn variable(server: &MySql, name: &str) -> String {
    server.query(&format!("SELECT @@{name}")).await.unwrap()[0][0].clone().unwrap()
}

/// How a client fares that trusts `ca_pem()` and checks everything.
async fn strict_client(server: &MySql) -> Result<(), Error> {
    let trust = SslOpts::default()
        .with_root_certs(vec![server.ca_pem().as_bytes().to_vec().into()])
        .with_disable_built_in_roots(true);
    let options = OptsBuilder::default()
        .ip_or_hostname(server.host())
        .tcp_port(server.port())
        .user(Some(server.superuser()))
        .pass(Some(server.superuser_password()))
        .prefer_socket(false)
        .ssl_opts(trust);
    Conn::new(options).await?.disconnect().await
}

#[tokio::test]
async fn every_release_starts_as_itself_and_tells_right_from_wrong_passwords() {
    for release in MySql::releases().await.unwrap() {
        let server = MySql::shared(release).await.unwrap();
        let version = variable(&server, "version").await;
        let (major, minor) = release.version;
        assert!(version.starts_with(&format!("{major}.{minor}.")), "{release}: {version}");
        assert_eq!(version.contains("MariaDB"), release.flavor == Flavor::MariaDb);
        server.execute("DROP USER IF EXISTS app; CREATE USER app IDENTIFIED BY 'right'").await.unwrap();
        assert!(server.can_login("app", "right", "").await.unwrap(), "{release}");
        assert!(!server.can_login("app", "wrong", "").await.unwrap(), "{release}");
        assert!(!server.can_login("app", "", "").await.unwrap(), "{release}");
        strict_client(&server).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_about_the_password_is_an_error() {
    for release in EACH_FLAVOR {
        let server = MySql::shared(release).await.unwrap();
        server.execute("CREATE USER outsider IDENTIFIED BY 'right'").await.unwrap();
        assert!(server.can_login("outsider", "right", "no_such_database").await.is_err());
        server.execute("ALTER USER outsider ACCOUNT LOCK").await.unwrap();
        assert!(server.can_login("outsider", "right", "").await.is_err());
    }
}

#[tokio::test]
async fn wrong_certificates_are_really_wrong() {
    for release in EACH_FLAVOR {
        let refusal = async |tls| {
            let server = MySql::release(release).tls(tls).start().await.unwrap();
            server.query("SELECT 1").await.unwrap();
            strict_client(&server).await.unwrap_err().to_string()
        };
        for (tls, why) in [
            (Tls::WrongName, "not valid for name"),
            (Tls::Expired, "expired"),
            (Tls::UnknownAuthority, "BadSignature"),
            (Tls::Off, "does not"),
        ] {
            let refusal = refusal(tls).await;
            assert!(refusal.contains(why), "{release} {tls:?}: {refusal}");
        }
    }
}

#[tokio::test]
async fn logs_are_readable() {
    for release in EACH_FLAVOR {
        let server = MySql::release(release).setting("general_log", "1").start().await.unwrap();
        assert!(server.log().contains("ready for connections"), "{}", server.log());
        server.execute("CREATE DATABASE canary").await.unwrap();
        assert!(server.general_log().contains("CREATE DATABASE canary"), "{}", server.general_log());
        let binary_log = server.binary_log().unwrap();
        let has_it = binary_log.windows(22).any(|window| window == b"CREATE DATABASE canary");
        assert!(has_it, "{release}: {} bytes", binary_log.len());
    }
}

#[tokio::test]
async fn settings_are_set() {
    for release in EACH_FLAVOR {
        let server = MySql::release(release)
            .setting("require_secure_transport", "1")
            .setting("skip_name_resolve", "1")
            .start()
            .await
            .unwrap();
        assert_eq!(variable(&server, "require_secure_transport").await, "1");
        assert_eq!(variable(&server, "skip_name_resolve").await, "1");
    }
}

#[tokio::test]
async fn a_stopped_server_is_not_reachable_and_keeps_its_data_until_it_starts_again() {
    for release in EACH_FLAVOR {
        let mut server = MySql::release(release).start().await.unwrap();
        server.execute("CREATE USER app IDENTIFIED BY 'right'").await.unwrap();
        let port = server.port();
        server.stop().unwrap();
        assert!(!is_listening(port));
        assert!(server.can_login("app", "right", "").await.is_err());
        server.restart().await.unwrap();
        assert_eq!(server.port(), port);
        assert!(server.can_login("app", "right", "").await.unwrap());
    }
}

#[tokio::test]
async fn dropping_the_server_leaves_no_process_and_no_file() {
    for release in EACH_FLAVOR {
        let server = MySql::release(release).start().await.unwrap();
        let (port, data) = (server.port(), PathBuf::from(variable(&server, "datadir").await));
        assert!(data.exists());
        drop(server);
        assert!(!is_listening(port));
        assert!(!data.parent().unwrap().exists());
    }
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    for release in EACH_FLAVOR {
        let error = MySql::release(release).setting("no_such_setting", "1").start().await.err().unwrap();
        assert!(error.to_string().contains("no_such_setting"), "{error}");
    }
    let unknown = Release { flavor: Flavor::MySql, version: (3, 23) };
    let error = MySql::release(unknown).start().await.err().unwrap();
    assert!(error.to_string().contains("MySQL 3.23"), "{error}");
}

/// The same binary again, with a running server in the variable that hands servers over.
#[tokio::test]
async fn a_server_can_be_handed_over() {
    if std::env::var_os("HANDED_OVER").is_some() {
        let releases = MySql::releases().await.unwrap();
        assert_eq!(releases.iter().filter(|it| it.flavor == Flavor::MariaDb).count(), 1, "{releases:?}");
        let server = MySql::shared(Release::MARIADB_10).await.unwrap();
        assert!(server.can_login("app", "right", "").await.unwrap());
        strict_client(&server).await.unwrap();
        assert_eq!(server.url(), None);
        return;
    }
    let server = MySql::release(Release::MARIADB_10).start().await.unwrap();
    server.execute("CREATE USER app IDENTIFIED BY 'right'").await.unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["a_server_can_be_handed_over", "--exact"])
        .envs([("HANDED_OVER", "1"), ("TURNLOCK_TEST_MARIADB_URL", &server.url().unwrap())])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
