//! The login, and Redis's protocol: commands, answers, and the meaning of each failure.

use std::io;
use std::time::Duration;

use rotation::database::account::Tls;
use rotation::database::dialect::Entrance;
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::reach::net;
use rotation::reach::tls;
use rotation::said::Said;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The limit for an answer. All of our commands are quick.
const ANSWER: Duration = Duration::from_secs(5);
/// No answer to our commands is longer. A peer that sends more is not Redis.
const LONGEST: u64 = 16 * 1024;

/// An accepted login.
pub struct Session {
    stream: BufReader<TlsStream<TcpStream>>,
    place: String,
}

/// Logs in. The login is accepted if the server requires a password and accepts this one.
pub async fn login(job: &Job<'_>, entrance: &Entrance<'_>) -> Result<Login<Session>> {
    let Entrance { server, username: user, password, .. } = *entrance;
    let Tls::Verified { roots } = &server.tls else {
        let what = "the secret says \"ssl\": false, and Redis would read the password from the wire";
        return Err(Error::new(Kind::BadSecret, what).remedy("give Redis a certificate (tls-port)"));
    };
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let stream = net::dial(job.deadline, &server.host, server.port).await?;
    let config = tls::client_config(&roots)?;
    let stream = net::handshake(job.deadline, config, &server.host, server.port, stream).await?;
    let place = format!("{}:{}", server.host, server.port);
    let mut session = Session { stream: BufReader::new(stream), place };
    #[expect(clippy::disallowed_methods, reason = "exposes the password to the server, to log in with it")]
    let answer = session.ask(job, &["AUTH", user, password.expose()]).await?;
    match answer {
        Err(words) if words.starts_with("WRONGPASS") => Ok(Login::Rejected(Said::new(&words).into())),
        Err(words) => {
            let what = format!("Redis at {} does not let {user:?} in", session.place);
            Err(Error::new(Kind::ServerRefused, what)
                .cause(Said::new(&words))
                .remedy("see the server's words"))
        }
        Ok(_) => session.wants_a_password(job, user).await.map(Login::Accepted),
    }
}

impl Session {
    /// Checks that the user needs a password. Redis accepts any password for a user with `nopass`, which proves nothing.
    async fn wants_a_password(mut self, job: &Job<'_>, user: &str) -> Result<Session> {
        let answer = self.ask(job, &["ACL", "GETUSER", user]).await?;
        let words = answer.map_err(|words| {
            let what = format!("{user:?} may not look at itself");
            Error::new(Kind::ServerRefused, what)
                .cause(Said::new(&words))
                .remedy("ACL SETUSER it +acl|getuser")
        })?;
        if words.iter().any(|word| word == "nopass") {
            let what = format!("Redis at {} lets {user:?} in with any password", self.place);
            return Err(Error::new(Kind::NotOurs, what).remedy("take the flag nopass from the user"));
        }
        Ok(self)
    }

    /// Sends a command and waits for its answer: words, or the server's refusal.
    pub async fn ask(&mut self, job: &Job<'_>, command: &[&str]) -> Result<Result<Vec<String>, String>> {
        let what = format!("Redis at {} to answer {}", self.place, command[0]);
        let answer = job.deadline.within(ANSWER, what, self.exchange(command)).await?;
        answer.map_err(|error| {
            let what = format!("the conversation with Redis at {} broke off", self.place);
            Error::new(Kind::Unreachable, what).because(&error)
        })
    }

    async fn exchange(&mut self, command: &[&str]) -> io::Result<Result<Vec<String>, String>> {
        let mut request = format!("*{}\r\n", command.len());
        for word in command {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let (mut words, mut expected) = (Vec::new(), 1);
        while expected > 0 {
            expected -= 1;
            let line = self.line().await?;
            let (kind, rest) = line.split_at_checked(1).ok_or_else(nonsense)?;
            match (kind, rest.parse::<i64>()) {
                ("-", _) => return Ok(Err(rest.to_owned())),
                ("+" | ":", _) => words.push(rest.to_owned()),
                // Flattens lists in lists, which is enough here.
                ("*", Ok(count @ 0..1000)) => expected += count,
                ("$", Ok(-1)) => {}
                ("$", Ok(length)) => words.push(self.bulk(length).await?),
                _ => return Err(nonsense()),
            }
        }
        Ok(Ok(words))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(LONGEST).read_until(b'\n', &mut line).await?;
        let line = line.strip_suffix(b"\r\n").ok_or_else(nonsense)?;
        String::from_utf8(line.to_vec()).map_err(|_| nonsense())
    }

    async fn bulk(&mut self, length: i64) -> io::Result<String> {
        let length = u64::try_from(length).ok().filter(|length| *length < LONGEST).ok_or_else(nonsense)?;
        let mut bytes = vec![0; length as usize + 2];
        self.stream.read_exact(&mut bytes).await?;
        bytes.truncate(length as usize);
        String::from_utf8(bytes).map_err(|_| nonsense())
    }
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not Redis's protocol, or too much of it")
}
