//! The PostgreSQL fixture: what it starts is what was asked for, and what it started is gone afterwards.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic")]

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lab::servers::{Auth, Postgres, Tls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsConnector;

/// Some version, for what does not depend on it.
const ANY: u32 = 16;

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Where the server keeps its data.
async fn data(server: &Postgres) -> PathBuf {
    PathBuf::from(server.query("SHOW data_directory").await.unwrap()[0][0].clone().unwrap())
}

/// What a client that trusts `ca_pem()` meets; `None` if the server does no TLS.
async fn tls_handshake(server: &Postgres) -> Option<Result<(), Error>> {
    let mut stream = tokio::net::TcpStream::connect((server.host(), server.port())).await.unwrap();
    // SSLRequest, "Message Formats" in PostgreSQL's manual.
    stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await.unwrap();
    if stream.read_u8().await.unwrap() == b'N' {
        return None;
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connected =
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await;
    Some(connected.map(drop).map_err(|error| error.downcast::<Error>().unwrap()))
}

#[tokio::test]
async fn every_version_starts_as_itself_and_tells_right_from_wrong_passwords() {
    for version in Postgres::versions().await.unwrap() {
        let server = Postgres::shared(version).await.unwrap();
        let number = server.query("SHOW server_version_num").await.unwrap();
        assert_eq!(number[0][0].as_ref().unwrap().parse::<u32>().unwrap() / 10_000, version);
        server.execute("DROP ROLE IF EXISTS app; CREATE ROLE app LOGIN PASSWORD 'right'").await.unwrap();
        assert!(server.can_login("app", "right", "postgres").await.unwrap());
        assert!(!server.can_login("app", "wrong", "postgres").await.unwrap());
        assert_eq!(tls_handshake(&server).await, Some(Ok(())));
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_about_the_password_is_an_error() {
    let server = Postgres::version(ANY).rule("host all outsider all reject").start().await.unwrap();
    server.execute("CREATE ROLE app LOGIN PASSWORD 'right'").await.unwrap();
    assert!(server.can_login("app", "right", "no such database").await.is_err());
    assert!(server.can_login("outsider", "right", "postgres").await.is_err());
    server.execute("ALTER ROLE app NOLOGIN").await.unwrap();
    assert!(server.can_login("app", "right", "postgres").await.is_err());
}

#[tokio::test]
async fn passwords_are_stored_and_asked_for_as_told() {
    for (auth, stored, wrong_is_accepted) in [
        (Auth::Scram, "SCRAM-SHA-256$", false),
        (Auth::Md5, "md5", false),
        (Auth::Password, "SCRAM-SHA-256$", false),
        (Auth::Trust, "SCRAM-SHA-256$", true),
    ] {
        let server = Postgres::version(ANY).auth(auth).start().await.unwrap();
        server.execute("CREATE ROLE app LOGIN PASSWORD 'right'").await.unwrap();
        let rows = server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'").await.unwrap();
        assert!(rows[0][0].as_ref().unwrap().starts_with(stored), "{auth:?}: {rows:?}");
        assert!(server.can_login("app", "right", "postgres").await.unwrap(), "{auth:?}");
        assert_eq!(
            server.can_login("app", "wrong", "postgres").await.unwrap(),
            wrong_is_accepted,
            "{auth:?}"
        );
        let superuser = server.superuser();
        assert!(!server.can_login(superuser, "wrong", "postgres").await.unwrap(), "{auth:?}");
    }
}

#[tokio::test]
async fn wrong_certificates_are_really_wrong() {
    let start = async |tls| Postgres::version(ANY).tls(tls).start().await.unwrap();
    let refused = async |tls| match tls_handshake(&start(tls).await).await {
        Some(Err(Error::InvalidCertificate(why))) => why,
        other => panic!("{tls:?}: {other:?}"),
    };
    assert_eq!(tls_handshake(&start(Tls::Good).await).await, Some(Ok(())));
    assert_eq!(tls_handshake(&start(Tls::Off).await).await, None);
    assert!(matches!(refused(Tls::WrongName).await, CertificateError::NotValidForNameContext { .. }));
    assert!(matches!(refused(Tls::Expired).await, CertificateError::ExpiredContext { .. }));
    let why = refused(Tls::UnknownAuthority).await;
    assert!(matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature), "{why:?}");
}

#[tokio::test]
async fn the_log_is_readable_and_as_talkative_as_asked() {
    let server = Postgres::version(ANY).setting("log_statement", "all").start().await.unwrap();
    server.execute("SELECT 'a canary''s song'").await.unwrap();
    assert!(server.log().contains("a canary''s song"), "{}", server.log());
}

#[tokio::test]
async fn a_stopped_server_is_not_reachable_and_keeps_its_data_until_it_starts_again() {
    let mut server = Postgres::version(ANY).start().await.unwrap();
    server.execute("CREATE ROLE app LOGIN PASSWORD 'right'").await.unwrap();
    let port = server.port();
    server.stop().unwrap();
    assert!(!is_listening(port));
    assert!(server.can_login("app", "right", "postgres").await.is_err());
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    assert!(server.can_login("app", "right", "postgres").await.unwrap());
    server.restart().await.unwrap();
    assert!(server.can_login("app", "right", "postgres").await.unwrap());
}

#[tokio::test]
async fn dropping_the_server_leaves_no_process_and_no_file() {
    let server = Postgres::version(ANY).start().await.unwrap();
    let (port, data) = (server.port(), data(&server).await);
    assert!(data.exists());
    drop(server);
    assert!(!is_listening(port));
    assert!(!data.parent().unwrap().exists());
}

#[tokio::test]
async fn two_servers_started_at_once_are_two_servers() {
    let (one, two) = tokio::join!(Postgres::version(ANY).start(), Postgres::version(ANY).start());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.port(), two.port());
    one.execute("CREATE ROLE only_here").await.unwrap();
    assert!(two.query("SELECT FROM pg_roles WHERE rolname = 'only_here'").await.unwrap().is_empty());
}

#[tokio::test]
async fn equal_options_share_a_server() {
    let (one, two) = tokio::join!(Postgres::shared(ANY), Postgres::shared(ANY));
    assert_eq!(one.unwrap().port(), two.unwrap().port());
    let md5 = Postgres::version(ANY).auth(Auth::Md5).shared().await.unwrap();
    assert_ne!(md5.port(), Postgres::shared(ANY).await.unwrap().port());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let error = Postgres::version(ANY).setting("no_such_setting", "1").start().await.err().unwrap();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
    let error = Postgres::version(7).start().await.err().unwrap();
    assert!(error.to_string().contains("PostgreSQL 7"), "{error}");
}

/// The same binary again, as a process that starts a server and is then killed with no chance to clean up.
#[tokio::test]
async fn killing_the_tests_stops_their_servers() {
    if std::env::var_os("START_AND_WAIT").is_some() {
        let server = Postgres::version(ANY).start().await.unwrap();
        println!("started {} {}", server.port(), data(&server).await.display());
        return std::future::pending().await;
    }
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["killing_the_tests_stops_their_servers", "--exact", "--nocapture"])
        .env("START_AND_WAIT", "1")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = loop {
        let line = lines.next_line().await.unwrap().expect("the child says where its server is");
        if let Some((_, line)) = line.split_once("started ") {
            break line.to_owned();
        }
    };
    let (port, data) = line.split_once(' ').unwrap();
    let (port, folder) = (port.parse().unwrap(), Path::new(data).parent().unwrap());
    assert!(is_listening(port) && folder.exists());
    child.kill().await.unwrap();
    let gone = async {
        while is_listening(port) || folder.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the server and its folder go away");
}

/// The same binary again, with a running server in the variable that hands servers over.
#[tokio::test]
async fn a_server_can_be_handed_over() {
    if std::env::var_os("HANDED_OVER").is_some() {
        assert_eq!(Postgres::versions().await.unwrap(), [ANY]);
        let shared = Postgres::shared(ANY).await.unwrap();
        assert!(shared.can_login("app", "right", "postgres").await.unwrap());
        assert!(shared.log().contains("ready to accept connections"));
        assert_eq!(tls_handshake(&shared).await, Some(Ok(())));
        assert_eq!(shared.url(), None);
        return;
    }
    let server = Postgres::version(ANY).start().await.unwrap();
    server.execute("CREATE ROLE app LOGIN PASSWORD 'right'").await.unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["a_server_can_be_handed_over", "--exact"])
        .envs([("HANDED_OVER", "1"), ("TURNLOCK_TEST_POSTGRES_URL", &server.url().unwrap())])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
