//! The proxy in front of a real PostgreSQL: what is passed on, and what exactly each fault does to it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::ErrorKind;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lab::proxy::Direction::{ToClient, ToServer};
use lab::proxy::{Direction, OnConnect, Place, Point, Protocol, Proxy};
use lab::servers::{MySql, Postgres, Release};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Error, NoTls};

/// Longer than anything here takes, and shorter than a test's patience.
const LONG: Duration = Duration::from_secs(30);

struct Fixture {
    server: Arc<Postgres>,
    proxy: Proxy,
}

impl Fixture {
    async fn new() -> Fixture {
        let server = Postgres::shared(16).await.unwrap();
        let proxy = Proxy::start(Protocol::Postgres, server.host(), server.port()).await.unwrap();
        Fixture { server, proxy }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.proxy.port()).ssl_mode(SslMode::Disable).dbname("postgres");
        config.user(self.server.superuser()).password(self.server.superuser_password());
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Connects and makes a table, a fresh one for each name.
    async fn make_table(&self, name: &str) -> Result<(), Error> {
        let client = self.connect().await?;
        client.batch_execute(&format!("CREATE TABLE {name} ()")).await
    }

    async fn has_table(&self, name: &str) -> bool {
        let sql = format!("SELECT FROM pg_tables WHERE tablename = '{name}'");
        !self.server.query(&sql).await.unwrap().is_empty()
    }

    /// The name of the only message of this kind that has come.
    fn place(&self, direction: Direction, kind: u8) -> Place {
        let messages = self.proxy.messages();
        let mut places = messages.iter().filter(|it| it.place.direction == direction && it.kind == kind);
        let place = places.next().unwrap().place;
        assert!(places.next().is_none(), "{messages:?}");
        place
    }
}

/// A message of the first connection that says anything.
fn first_connection(direction: Direction, number: usize) -> Place {
    Place { conversation: 1, direction, number }
}

/// A name that no other test and no other run has used on a shared server.
fn fresh_name(test: &str) -> String {
    format!("{test}_{:x}", rand::random::<u64>())
}

#[tokio::test]
async fn messages_pass_and_are_listed() {
    let fixture = Fixture::new().await;
    let client = fixture.connect().await.unwrap();
    let rows = client.simple_query("SELECT 'through the proxy'").await.unwrap();
    assert!(format!("{rows:?}").contains("through the proxy"));
    let kinds = |direction: Direction| {
        let messages = fixture.proxy.messages().into_iter().filter(move |it| it.place.direction == direction);
        messages.map(|it| it.kind as char).collect::<String>()
    };
    // Startup, two SCRAM messages, a simple query; and what PostgreSQL says to them.
    assert_eq!(kinds(ToServer), "\0ppQ");
    assert!(kinds(ToClient).starts_with("RRRR"), "{}", kinds(ToClient));
    assert!(kinds(ToClient).ends_with("TDCZ"), "{}", kinds(ToClient));
    assert_eq!(fixture.proxy.connections(), 1);
    let numbers = fixture
        .proxy
        .messages()
        .into_iter()
        .filter(|it| it.place.direction == ToServer)
        .map(|it| it.place.number);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4]);
    fixture.proxy.clear();
    assert!(fixture.proxy.messages().is_empty());
}

/// An early connection that nobody needed says goodbye at any time; the connection that does the work keeps its names.
#[tokio::test]
async fn a_message_has_the_same_name_whatever_else_opens_and_closes() {
    let fixture = Fixture::new().await;
    let names = async |others: usize| {
        let mut idle = Vec::new();
        for _ in 0..others {
            idle.push(fixture.connect().await.unwrap());
        }
        fixture.proxy.clear();
        let client = fixture.connect().await.unwrap();
        drop(idle);
        client.simple_query("SELECT 1").await.unwrap();
        let worked = fixture.proxy.messages().into_iter().filter(|it| it.place.conversation > 0);
        worked.map(|it| (it.place, it.kind)).collect::<Vec<_>>()
    };
    let alone = names(0).await;
    assert!(alone.len() > 8 && alone.iter().all(|(place, _)| place.conversation == 1), "{alone:?}");
    assert_eq!(names(3).await, alone);
}

#[tokio::test]
async fn cut_before_the_statement_it_has_no_effect_and_after_it_it_has() {
    let fixture = Fixture::new().await;
    fixture.make_table(&fresh_name("rehearsal")).await.unwrap();
    let statement = fixture.place(ToServer, b'Q');
    let completion = fixture.place(ToClient, b'C');
    for (point, has_effect) in [
        (Point::before(statement), false),
        (Point::before(completion), true),
        (Point::after(completion), true),
    ] {
        let table = fresh_name("cut");
        fixture.proxy.cut_all().await;
        fixture.proxy.clear();
        fixture.proxy.cut(point);
        assert!(fixture.proxy.is_armed().await);
        let error = fixture.make_table(&table).await.unwrap_err();
        assert!(error.is_closed() || error.to_string().contains("communicating"), "{error:?}");
        assert!(!fixture.proxy.is_armed().await);
        assert_eq!(fixture.has_table(&table).await, has_effect, "{point:?}");
        fixture.make_table(&fresh_name("once_only")).await.unwrap();
    }
}

/// After the very last message, no other sign shows that the cut has been made.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_after_the_last_message_is_waited_for() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let proxy = Proxy::start(Protocol::Opaque, "127.0.0.1", port).await.unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    let (mut accepted, _) = server.accept().await.unwrap();
    let is_made = Arc::new(AtomicBool::new(false));
    let made = Arc::clone(&is_made);
    let (go_on, goes_on) = std::sync::mpsc::channel();
    proxy.cut_with(Point::after(first_connection(ToClient, 1)), move || {
        // The client has to be served while this stands.
        tokio::task::block_in_place(|| goes_on.recv()).unwrap();
        made.store(true, Ordering::SeqCst);
    });
    accepted.write_all(b"!").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'!');
    let mut asked = Box::pin(proxy.is_armed());
    assert!(timeout(Duration::ZERO, &mut asked).await.is_err(), "answered while the cut is being made");
    go_on.send(()).unwrap();
    assert!(!timeout(LONG, asked).await.unwrap());
    assert!(is_made.load(Ordering::SeqCst));
}

#[tokio::test]
async fn mysql_messages_are_told_apart_and_cut() {
    for release in [Release::MYSQL_9, Release::MARIADB_10] {
        let server = MySql::shared(release).await.unwrap();
        let proxy = Proxy::start(Protocol::MySql, server.host(), server.port()).await.unwrap();
        let make_database = async |name: &str| {
            let options = OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(proxy.port())
                .user(Some(server.superuser()))
                .pass(Some(server.superuser_password()))
                .prefer_socket(false);
            Conn::new(options).await?.query_drop(format!("CREATE DATABASE {name}")).await
        };
        let has_database = async |name: &str| {
            let sql = format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = '{name}'");
            !server.query(&sql).await.unwrap().is_empty()
        };
        // The first login of an account has more messages than later ones, for which MySQL keeps a hash in memory.
        server.query("SELECT 1").await.unwrap();
        make_database(&fresh_name("rehearsal")).await.unwrap();
        let messages = proxy.messages();
        assert_eq!(
            (messages[0].place.direction, messages[0].kind),
            (ToClient, 10),
            "the greeting: {messages:?}"
        );
        // The driver has questions of its own at login; the last COM_QUERY is ours, and OK its answer.
        let position =
            messages.iter().rposition(|it| it.place.direction == ToServer && it.kind == 3).unwrap();
        let (statement, answer) = (messages[position], messages[position + 1]);
        assert_eq!((answer.place.direction, answer.kind), (ToClient, 0), "{messages:?}");
        for (point, has_effect) in
            [(Point::before(statement.place), false), (Point::before(answer.place), true)]
        {
            let name = fresh_name("cut");
            proxy.cut_all().await;
            proxy.clear();
            proxy.cut(point);
            make_database(&name).await.unwrap_err();
            assert!(!proxy.is_armed().await);
            assert_eq!(has_database(&name).await, has_effect, "{release} {point:?}");
        }
    }
}

#[tokio::test]
async fn a_hook_runs_at_its_point() {
    let fixture = Fixture::new().await;
    let (table, called) = (fresh_name("hook"), Arc::new(AtomicBool::new(false)));
    let call = Arc::clone(&called);
    fixture
        .proxy
        .cut_with(Point::before(first_connection(ToServer, 4)), move || call.store(true, Ordering::SeqCst));
    fixture.make_table(&table).await.unwrap_err();
    assert!(called.load(Ordering::SeqCst));
    assert!(!fixture.has_table(&table).await);
}

#[tokio::test]
async fn held_traffic_stops_and_continues_after_the_release() {
    let fixture = Fixture::new().await;
    let table = fresh_name("held");
    let mut held = fixture.proxy.hold(Point::before(first_connection(ToServer, 4)));
    let watch = async {
        held.reached().await;
        let stood = !fixture.has_table(&table).await;
        held.release();
        stood
    };
    let (made, stood) =
        timeout(LONG, async { tokio::join!(fixture.make_table(&table), watch) }).await.unwrap();
    made.unwrap();
    assert!(stood);
    assert!(fixture.has_table(&table).await);
}

#[tokio::test]
async fn a_hold_without_an_owner_stops_no_traffic() {
    let fixture = Fixture::new().await;
    drop(fixture.proxy.hold(Point::after(first_connection(ToServer, 1))));
    timeout(LONG, fixture.connect()).await.unwrap().unwrap();
}

#[tokio::test]
async fn each_way_to_meet_a_connection_works_and_can_be_undone() {
    let fixture = Fixture::new().await;
    let address = ("127.0.0.1", fixture.proxy.port());

    fixture.proxy.on_connect(OnConnect::Refuse).await.unwrap();
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);

    fixture.proxy.on_connect(OnConnect::Close).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);

    fixture.proxy.on_connect(OnConnect::Silence).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"anybody there?").await.unwrap();
    assert!(timeout(Duration::from_millis(100), stream.read(&mut [0])).await.is_err());

    fixture.proxy.on_connect(OnConnect::DropPackets).await.unwrap();
    for _ in 0..2 {
        assert!(timeout(Duration::from_millis(100), TcpStream::connect(address)).await.is_err());
    }

    fixture.proxy.on_connect(OnConnect::Pass).await.unwrap();
    fixture.connect().await.unwrap();
    assert_eq!(fixture.proxy.connections(), 1);
}

/// A process that is being started holds every open socket for a moment, the proxy's listener too.
#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_keeps_its_port_while_processes_are_started() {
    let fixture = Fixture::new().await;
    let is_over = Arc::new(AtomicBool::new(false));
    let starting = Vec::from_iter((0..3).map(|_| {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                // A folder of its own keeps the standard library from the faster way, which other programs do not take.
                let started = Command::new("true").current_dir("/").status();
                assert!(started.expect("the program is there").success());
            }
        })
    }));
    let mut failure = None;
    for _ in 0..200 {
        for action in [OnConnect::Silence, OnConnect::Refuse, OnConnect::Pass, OnConnect::Close] {
            failure = failure.or(fixture.proxy.on_connect(action).await.err());
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for thread in starting {
        thread.join().unwrap();
    }
    assert!(failure.is_none(), "{failure:?}");
}

#[tokio::test]
async fn existing_connections_can_be_cut() {
    let fixture = Fixture::new().await;
    let client = fixture.connect().await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    fixture.proxy.cut_all().await;
    client.batch_execute("SELECT 1").await.unwrap_err();
    fixture.connect().await.unwrap();
}

#[tokio::test]
async fn a_delay_is_at_least_as_long_as_asked() {
    let fixture = Fixture::new().await;
    let client = fixture.connect().await.unwrap();
    fixture.proxy.delay(Duration::from_millis(20));
    let before = Instant::now();
    client.batch_execute("SELECT 1").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(40), "one message each way");
}

#[tokio::test]
async fn traffic_that_the_proxy_cannot_read_passes_unchanged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut reads, mut writes) = stream.split();
        tokio::io::copy(&mut reads, &mut writes).await.unwrap();
        writes.shutdown().await.unwrap();
    };
    let proxy = Proxy::start(Protocol::Opaque, "127.0.0.1", port).await.unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let talk = async {
        let (mut reads, mut writes) =
            TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap().into_split();
        let mut received = Vec::new();
        let send = async {
            writes.write_all(&sent).await.unwrap();
            writes.shutdown().await.unwrap();
        };
        let ((), read) = tokio::join!(send, reads.read_to_end(&mut received));
        read.unwrap();
        received
    };
    let ((), received) = timeout(LONG, async { tokio::join!(echo, talk) }).await.unwrap();
    assert!(received == sent);
    let through = |direction| {
        proxy.messages().iter().filter(|it| it.place.direction == direction).map(|it| it.length).sum()
    };
    let (up, down): (usize, usize) = (through(ToServer), through(ToClient));
    assert_eq!((up, down), (sent.len(), sent.len()));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_closed_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let proxy = Proxy::start(Protocol::Opaque, "127.0.0.1", nobody).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert_eq!(timeout(LONG, stream.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
}
