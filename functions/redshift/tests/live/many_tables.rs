//! A warehouse with thousands of tables is copied within one Lambda timeout, in statements that Redshift accepts.

use std::time::{Duration, Instant};

use super::app::App;

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_tables_with_mixed_grants_fit_into_thirty_seconds() {
    let app = App::new().await;
    let u = &app.user;
    app.execute(&format!("CREATE SCHEMA many_{u}; GRANT USAGE ON SCHEMA many_{u} TO {u}")).await;
    let privileges = [
        "SELECT",
        "SELECT, INSERT",
        "INSERT, UPDATE, DELETE",
        "DROP, ALTER",
        "REFERENCES, TRUNCATE",
        "SELECT, DELETE",
    ];
    for batch in 0..50 {
        let mut sql = String::new();
        for n in batch * 100..(batch + 1) * 100 {
            let table = format!("many_{u}.table_with_a_name_of_some_length_{n}");
            let option = if n % 7 == 0 { " WITH GRANT OPTION" } else { "" };
            sql.push_str(&format!(
                "CREATE TABLE {table} (a int); GRANT {} ON {table} TO {u}{option};",
                privileges[n % 6]
            ));
            if n % 11 == 0 {
                sql.push_str(&format!("GRANT UPDATE (a) ON {table} TO {u};"));
            }
        }
        app.execute(&sql).await;
    }
    let world = app.pair_world().await;
    let mut slowest = Duration::ZERO;
    let token = world.begin().unwrap();
    for step in lab::rotation::Step::ALL {
        let started = Instant::now();
        world.step(&token, step).await.unwrap_or_else(|error| panic!("{error}\n{}", world.output()));
        slowest = slowest.max(started.elapsed());
    }
    // The function runs under Lambda's deadline of 30 s (the lab's default), which would end a slower step with an error.
    println!("5,000 tables: the slowest step took {:.1} s", slowest.as_secs_f64());
    // Other tests use the same cluster.
    let is_copy = |sql: &String| sql.starts_with("GRANT") && sql.contains(&app.clone_name());
    let queries: Vec<String> = app.server.queries().into_iter().filter(is_copy).collect();
    let longest = queries.iter().map(String::len).max().unwrap();
    println!("{} queries, the longest of {longest} bytes", queries.len());
    assert!(
        queries.len() < 60 && longest < 2 << 20,
        "{} queries, the longest of {longest} bytes",
        queries.len()
    );
    let count = async |name: &str| {
        let sql = format!(
            "SELECT COUNT(*) || ' ' || SUM(CASE WHEN admin_option THEN 1 ELSE 0 END) FROM svv_relation_privileges WHERE identity_name = '{name}'"
        );
        app.column(&sql).await
    };
    assert_eq!(count(&app.clone_name()).await, count(u).await);
    let output = world.output();
    for part in [
        "10,000 grants in this database",
        "SHOW GRANTS does not list all grants",
        "\"of\":7046,\"proven\":19",
    ] {
        assert!(output.contains(part), "no {part:?} in {output}");
    }
}
