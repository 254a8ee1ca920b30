//! The world of a scenario: a lab, an application's account on a real server, and a shell.

use std::any::Any;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lab::Lab;
use lab::runtime::Function;
use lab::secrets::faults_from_toml;
use lab::servers::{MySql, Postgres, Release, Tls};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

#[path = "aws.rs"]
mod aws;

use aws::Aws;

/// The secret of the application.
const SECRET: &str = "prod/app";

/// The kinds of worlds:
/// - `none`: nothing; `lab`: a Secrets Manager;
/// - `postgres`: that, a server, and the secret of an account; `aws`: that, and the function deployed (`aws.rs`);
/// - `tls`: a secret for each server with another flaw; `strangers`: one for each listener that is no database.
pub(crate) struct World {
    lab: Option<Lab>,
    server: Option<Arc<Postgres>>,
    aws: Option<Aws>,
    /// Servers that live as long as the scenario.
    kept: Vec<Box<dyn Any + Send + Sync>>,
    folder: TempDir,
    /// Texts that differ from run to run, each with the word that replaces it, in the order of replacement.
    words: Vec<(String, String)>,
    /// Version ids in the order in which they were seen.
    versions: Vec<String>,
}

impl World {
    pub(crate) async fn new(kind: &str) -> World {
        let folder = tempfile::tempdir().expect("a folder is made");
        let words = vec![(folder.path().display().to_string(), "FOLDER".to_owned())];
        let mut world = World {
            lab: None,
            server: None,
            aws: None,
            kept: Vec::new(),
            folder,
            words,
            versions: Vec::new(),
        };
        match kind {
            "none" => {}
            "lab" => world.start_lab(None).await,
            "postgres" | "aws" => {
                let server = Postgres::shared(16).await.expect("a server starts");
                let value = account(&server, &mut world.words).await;
                world.server = Some(server);
                world.start_lab(Some(value)).await;
                if kind == "aws" {
                    world.start_aws().await;
                }
            }
            "tls" => {
                world.start_lab(None).await;
                world.start_servers().await;
            }
            "strangers" => {
                world.start_lab(None).await;
                world.start_strangers().await;
            }
            other => panic!("there is no world {other}"),
        }
        world
    }

    async fn start_lab(&mut self, value: Option<Value>) {
        let lab = Lab::start(Default::default()).await.expect("a lab starts");
        let endpoint = lab.endpoint();
        let port = endpoint.rsplit(':').next().expect("it has a port").to_owned();
        self.words.push((endpoint, "ENDPOINT".to_owned()));
        self.words.push((port, "LAB".to_owned()));
        if let Some(value) = value {
            let arn = lab.secrets().create(SECRET, &value.to_string()).expect("the secret is made");
            self.words.insert(0, (arn, "ARN".to_owned()));
        }
        self.lab = Some(lab);
    }

    /// Servers with TLS of every kind, and a secret for each with the server's name.
    async fn start_servers(&mut self) {
        let flaws = [
            ("none", Tls::Off),
            ("wrong-name", Tls::WrongName),
            ("expired", Tls::Expired),
            ("unknown", Tls::UnknownAuthority),
        ];
        for (name, tls) in flaws {
            let server = Postgres::version(16).tls(tls).start().await.expect("a server starts");
            self.secret_for(name, "postgres", server.host(), server.port(), server.ca_pem());
            self.kept.push(Box::new(server));
        }
        for (name, tls) in [("mariadb", Tls::Good), ("mariadb-none", Tls::Off)] {
            let server = MySql::release(Release::MARIADB_10).tls(tls).start().await.expect("a server starts");
            self.secret_for(name, "mariadb", server.host(), server.port(), server.ca_pem());
            self.kept.push(Box::new(server));
        }
    }

    /// Listeners that are no databases, and a secret for each with the listener's name.
    async fn start_strangers(&mut self) {
        // A MySQL packet begins with its length and a number. Then an error has 0xff, and a greeting the version of the protocol.
        let greetings: [(&str, &str, &'static [u8]); 5] = [
            ("silent", "postgres", b""),
            ("half", "postgres", b"S"),
            ("mail", "mysql", b"220 mail.example ESMTP"),
            ("blocked", "mysql", b"\x0c\0\0\0\xff\x69\x04Blocked.."),
            ("old", "mysql", b"\x05\0\0\0\x093.20"),
        ];
        for (name, engine, greeting) in greetings {
            self.greet(name, engine, move |mut stream| async move {
                let _ = stream.write_all(greeting).await;
                // The listener says nothing more and keeps the connection.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            })
            .await;
        }
        self.greet("closing", "mysql", |stream| async { drop(stream) }).await;
        // The queue has one place, and it is taken, so no other connection is answered.
        let full = TcpSocket::new_v4().expect("a socket is made");
        full.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let full = full.listen(0).expect("it listens");
        let address = full.local_addr().expect("it is bound");
        let first = TcpStream::connect(address).await.expect("there is one place");
        self.secret_for("full", "postgres", "127.0.0.1", address.port(), "");
        self.kept.push(Box::new((full, first)));
    }

    /// Listens, and treats every connection like this. A secret with this name leads there.
    async fn greet<F>(
        &mut self,
        name: &str,
        engine: &str,
        treat: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut guests = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                guests.spawn(treat(stream));
            }
        });
        self.secret_for(name, engine, "127.0.0.1", port, "");
        self.kept.push(Box::new(server));
    }

    fn secret_for(&self, name: &str, engine: &str, host: &str, port: u16, authority: &str) {
        let value = json!({
            "engine": engine, "host": host, "port": port, "username": "app", "password": "hunter2",
            "sslrootcert": authority,
        });
        let lab = self.lab.as_ref().expect("it was started");
        lab.secrets().create(name, &value.to_string()).expect("the secret is made");
    }

    /// Attaches the function, and starts the stand-in for Lambda, IAM and KMS.
    async fn start_aws(&mut self) {
        let lab = self.lab.as_ref().expect("it was started");
        let binary = Function::build("rotate-postgres").expect("the function is built");
        let function = Function::new("rotate-postgres", [binary])
            .env("SECRETS_MANAGER_ENDPOINT", lab.endpoint())
            .env("ALLOW_DIAGNOSE", "true");
        let function = Arc::new(function.start().await.expect("the function starts"));
        lab.attach("rotate-postgres", function.clone());
        lab.secrets().enable_rotation(SECRET, "rotate-postgres").expect("it is attached");
        let aws = Aws::start(function, lab.secrets()).await;
        self.words.push((aws.endpoint.clone(), "AWS".to_owned()));
        self.aws = Some(aws);
    }

    /// Runs a statement as the superuser.
    pub(crate) async fn sql(&self, statement: &str) {
        let server = self.server.as_ref().expect("this world has a server");
        server.execute(&self.filled(statement)).await.expect("the statement runs");
    }

    /// Runs an operation of Secrets Manager. The ARN of a secret that it makes becomes `ARN-OF-` its name.
    pub(crate) fn call(&mut self, call: &str) {
        let (operation, request) = call.split_once(' ').expect("an operation and a request");
        let request = serde_json::from_str(&self.filled(request)).expect("the request is JSON");
        let lab = self.lab.as_ref().expect("this world has a lab");
        let answer = lab.secrets().call(operation, request).expect("the operation succeeds");
        if let ("CreateSecret", Some(arn), Some(name)) =
            (operation, answer["ARN"].as_str(), answer["Name"].as_str())
        {
            self.words.insert(0, (arn.to_owned(), format!("ARN-OF-{name}")));
        }
    }

    /// Makes calls fail from now on, as a list of faults says (`lab::secrets::faults_from_toml`). An empty list ends the faults.
    pub(crate) fn faults(&self, list: &str) {
        let faults = faults_from_toml(&format!("fault = {list}")).expect("it is a list of faults");
        self.lab.as_ref().expect("this world has a lab").faults().set(faults);
    }

    /// Runs a command, and returns its output and exit code as a scenario writes them.
    pub(crate) async fn run(&mut self, command: &str) -> String {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_turnlock"));
        let [function, _] = ["rotate-postgres", "rotate-api-key"]
            .map(|package| Function::build(package).expect("the function is built"));
        if command.contains("rotate-mysql") {
            Function::build("rotate-mysql").expect("the function is built");
        }
        let folders = [program, &function].map(|path| path.parent().expect("it lies in a folder").display());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &self.filled(command)])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:{}:/usr/local/bin:/usr/bin:/bin", folders[0], folders[1]))
            .env("HOME", self.folder.path())
            .env("TURNLOCK_BIN_DIR", function.parent().expect("it lies in a folder"))
            .env("SCENARIOS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(lab) = &self.lab {
            shell.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", lab.endpoint());
        }
        if let Some(aws) = &self.aws {
            for service in ["LAMBDA", "IAM", "KMS"] {
                shell.env(format!("AWS_ENDPOINT_URL_{service}"), &aws.endpoint);
            }
        }
        let output = shell.output().await.expect("the shell runs");
        let code = output.status.code().expect("it was not killed");
        let mut happened = if code == 0 { String::new() } else { format!("? {code}\n") };
        for (mark, bytes) in [('>', output.stdout), ('!', output.stderr)] {
            let text = self.settled(&String::from_utf8(bytes).expect("it prints UTF-8"));
            happened.extend(text.lines().map(|line| format!("{mark} {line}").trim_end().to_owned() + "\n"));
        }
        happened
    }

    /// Replaces `USER` and similar words with the values that they stand for.
    fn filled(&self, text: &str) -> String {
        let fill = |text: String, (is, word): &(String, String)| text.replace(&format!("${word}"), is);
        let text = self.words.iter().fold(text.to_owned(), fill);
        let numbered = self.versions.iter().enumerate();
        numbered.fold(text, |text, (at, id)| text.replace(&format!("$VERSION-{}", at + 1), id))
    }

    /// Replaces texts that differ from run to run with words.
    fn settled(&mut self, text: &str) -> String {
        let settle = |text: String, (is, word): &(String, String)| text.replace(is, word);
        let text = self.words.iter().fold(text.to_owned(), settle);
        let mut settled = String::new();
        for piece in text.split_inclusive(|c| !in_word(c)) {
            let (word, rest) = piece.split_at(piece.trim_end_matches(|c| !in_word(c)).len());
            settled += &self.word(word);
            settled += rest;
        }
        without_times(&settled)
    }

    fn word(&mut self, word: &str) -> String {
        let (word, end) = word.split_at(word.trim_end_matches([':', '.']).len());
        if is_version(word) {
            let known = self.versions.iter().position(|it| it == word);
            let at = known.unwrap_or_else(|| {
                self.versions.push(word.to_owned());
                self.versions.len() - 1
            });
            return format!("VERSION-{}{end}", at + 1);
        }
        let moment = [(16, 8), (20, 10)]
            .iter()
            .any(|(least, at)| word.len() >= *least && word.ends_with('Z') && word.as_bytes()[*at] == b'T');
        if moment { format!("TIME{end}") } else { format!("{word}{end}") }
    }
}

/// Replaces each number of milliseconds or bytes with a word.
fn without_times(text: &str) -> String {
    let mut kept = text.to_owned();
    for unit in [" ms", " bytes"] {
        let mut parts: Vec<&str> = kept.split(unit).collect();
        let last = parts.pop().unwrap_or_default();
        let parts = parts
            .iter()
            .map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned() + "N" + unit);
        kept = parts.collect::<String>() + last;
    }
    let mut lines: Vec<String> = Vec::new();
    for line in kept.split('\n') {
        lines.push(match line.split_once("\"ms\": ") {
            Some((before, after)) => {
                format!("{before}\"ms\": N{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            None => line.to_owned(),
        });
    }
    lines.join("\n")
}

/// The characters of a version's id, a number or a time.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-:.".contains(c)
}

/// Creates an account that no other scenario has, and its secret's value.
async fn account(server: &Postgres, words: &mut Vec<(String, String)>) -> Value {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let user = format!("scenario_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let first = "Zt4nP1vKopening";
    server
        .execute(&format!("CREATE ROLE {user} LOGIN PASSWORD '{first}'"))
        .await
        .expect("the account is made");
    words.push((user.clone(), "USER".to_owned()));
    words.push((format!("{}", server.port()), "PORT".to_owned()));
    json!({
        "engine": "postgres", "host": server.host(), "port": server.port(), "username": user, "password": first,
        "dbname": "postgres", "sslrootcert": server.ca_pem(),
    })
}

/// Whether this is the id of a version.
fn is_version(word: &str) -> bool {
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}
