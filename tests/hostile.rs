//! Servers that pretend to be a database. They learn no password and exhaust no memory, and the error tells them apart.

#![expect(clippy::unwrap_used, reason = "all of this is tests: a panic is their failure")]

mod hostile {
    mod mysql;
    mod postgres;

    use std::time::{Duration, Instant};

    use lab::leaks;
    use lab::rotation::Step;
    use lab::world::World;
    use rotation_tests::fake_server::{FakeServer, Line};
    use serde_json::json;

    const PASSWORD: &str = "F1rst-pa55-that-no-fake-may-see";

    /// The longest time for an answer of ours: the limit of a login or of a statement, on a busy machine.
    const IN_TIME: Duration = Duration::from_secs(25);

    /// The memory that one process may hold while a fake server sends. It is a debug build.
    const MEMORY: u64 = 160 << 20;

    /// Runs setSecret of an engine's function against the fake server. It must fail with an error that has these parts. With TLS,
    /// the secret trusts the fake's certificate.
    async fn meets(engine: &str, case: &str, ssl: bool, script: Vec<Line>, parts: &[&str]) {
        let case = format!("{case}, {}", if ssl { "TLS" } else { "no TLS" });
        let fake = FakeServer::start(script).await.unwrap();
        let secret = json!({
            "engine": engine, "host": "localhost", "port": fake.port(), "username": "app", "password": PASSWORD,
            "dbname": "app", "ssl": ssl, "sslrootcert": fake.authority(),
        });
        let function = format!("rotate-{engine}");
        let world = World::new(&function, &[("RUST_LOG", "trace")], &secret).await.unwrap();
        let token = world.begin().unwrap();
        world.step(&token, Step::CreateSecret).await.unwrap();
        let started = Instant::now();
        let error = world.step(&token, Step::SetSecret).await.expect_err(&case).to_string();
        assert!(started.elapsed() < IN_TIME, "{case}: {error} after {:?}", started.elapsed());
        for part in parts {
            assert!(error.contains(part), "{case}: no {part:?} in: {error}");
        }
        let memory = world.function.memory_peak();
        assert!(memory < MEMORY, "{case}: {} MB", memory >> 20);
        let values = world.values();
        let passwords: Vec<&str> = values.iter().map(|value| value["password"].as_str().unwrap()).collect();
        assert!(passwords.len() == 2 && passwords.contains(&PASSWORD));
        let (heard, output) = (fake.heard(), world.output());
        assert!(!heard.is_empty(), "{case}: nobody came");
        leaks::absent(
            &passwords,
            &[
                ("what the fake heard", &heard),
                ("the output", output.as_bytes()),
                ("the error", error.as_bytes()),
            ],
        );
        assert_eq!(world.current()["password"], PASSWORD, "{case}");
    }
}
