//! `cargo xtask docker`: rotations against servers in containers.

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::command::{answers, cargo, command, output, run, target};
use crate::parts::{Parts, Tally};
use crate::setup::{self, remove};
use crate::test::{self, run_tests};

/// Three rotations of each strategy on each server.
const TESTS: [&str; 4] = ["--workspace", "--test", "live", "in_a_row"];

/// How long an engine may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run_all() -> ExitCode {
    let (mut parts, mut engine) = (Parts::default(), None);
    parts.part("setup", setup::packages);
    parts.part("build functions", || test::build_functions().map(drop));
    parts.part("build tests", || run(&mut cargo(&["test", "--locked", "--workspace", "--no-run"])));
    parts.part("engine", || Engine::find().map(|found| engine = Some(found)));
    if let Some(engine) = engine {
        parts.part("rotations in containers", || rotations(&engine));
        parts.part("end of the engine", || engine.end());
    }
    parts.end()
}

fn rotations(engine: &Engine) -> Result<Tally, String> {
    let (forced, host) = ("env.TURNLOCK_DOCKER = '1'", format!("env.DOCKER_HOST = '{}'", engine.host));
    let tally = run_tests(
        &[&["--config", forced, "--config", &host], &TESTS[..]].concat(),
        &target().join("functions"),
    );
    if engine.own.is_some() {
        engine.must_be_empty()?;
    }
    tally
}

/// A Docker engine: the machine's, or one that is started for this run.
struct Engine {
    host: String,
    own: Option<Own>,
}

/// An engine of this run, and the folder with its socket and its log.
struct Own {
    process: Child,
    folder: PathBuf,
}

impl Engine {
    fn find() -> Result<Engine, String> {
        if answers("docker", &["version"]) {
            let default = "unix:///var/run/docker.sock".to_owned();
            return Ok(Engine { host: env::var("DOCKER_HOST").unwrap_or(default), own: None });
        }
        if !answers("dockerd", &["--version"]) {
            setup::install(&["docker.io"])?;
        }
        Engine::start()
    }

    /// Starts an engine that changes nothing about the machine's network. Containers use the machine's own.
    fn start() -> Result<Engine, String> {
        let folder = env::temp_dir().join(format!("turnlock-docker-{}", std::process::id()));
        let failed = |error: std::io::Error| format!("dockerd: {error}");
        fs::create_dir_all(&folder).map_err(failed)?;
        let log = File::create(folder.join("log")).map_err(failed)?;
        let host = format!("unix://{}", folder.join("socket").display());
        let mut daemon = command("dockerd", &["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        daemon.arg("--host").arg(&host).arg("--data-root").arg(target().join("docker"));
        daemon.arg("--pidfile").arg(folder.join("pid"));
        let process = daemon.stderr(log.try_clone().map_err(failed)?).stdout(log).spawn().map_err(failed)?;
        println!("started dockerd ({}) for this run", process.id());
        let mut engine = Engine { host, own: Some(Own { process, folder }) };
        match engine.wait() {
            Ok(()) => Ok(engine),
            Err(why) => Err(engine.end().err().map_or(why.clone(), |also| format!("{why}; {also}"))),
        }
    }

    fn wait(&mut self) -> Result<(), String> {
        let (Some(Own { process, folder }), started) = (&mut self.own, Instant::now()) else { return Ok(()) };
        loop {
            if answers("docker", &["--host", &self.host, "version"]) {
                return Ok(());
            }
            let ended = process.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                let last = Vec::from_iter(log.lines().rev().take(5)).join("\n");
                return Err(format!(
                    "dockerd does not start; it needs root. The end of its log, last line first:\n{last}"
                ));
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// Fails if a container stays. The guards of the servers end them after the tests have ended.
    fn must_be_empty(&self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let left = output(command("docker", &["ps", "--quiet"]).env("DOCKER_HOST", &self.host))?;
            if left.is_empty() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("containers are left: {left}"));
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// Ends the engine if it is of this run. It ends its own helpers when it is asked to end.
    fn end(self) -> Result<(), String> {
        let Some(Own { mut process, folder }) = self.own else { return Ok(()) };
        let started = Instant::now();
        run(&mut command("kill", &["-s", "TERM", &process.id().to_string()]))?;
        while process.try_wait().map_err(|error| error.to_string())?.is_none() {
            if started.elapsed() > PATIENCE {
                return Err(format!("dockerd ({}) does not end", process.id()));
            }
            sleep(Duration::from_millis(100));
        }
        remove(&folder)
    }
}
