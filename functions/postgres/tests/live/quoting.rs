//! A real server returns quoted names and texts unchanged, whatever they contain and however the session reads backslashes.

use lab::servers::Postgres;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rotate_postgres::statement::{identifier, literal};

/// The server's limit on names, in bytes (PostgreSQL manual, "Identifiers and Key Words").
const NAME: usize = 63;

/// Texts that often contain the characters that matter for quoting.
fn texts(count: usize) -> Vec<String> {
    let tricky =
        prop::sample::select(&["'", "\"", "\\", "$$", ";", "--", "/*", "%", "E'", "\n", "é", "😀"][..]);
    let part = prop_oneof![tricky.prop_map(str::to_owned), "[^\0]{1,4}"];
    let text = prop::collection::vec(part, 1..12).prop_map(|parts| parts.concat());
    let mut runner = TestRunner::default();
    (0..count).map(|_| text.new_tree(&mut runner).expect("any text will do").current()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_texts_come_back_as_they_were() {
    let texts = texts(500);
    for version in Postgres::versions().await.unwrap() {
        let server = Postgres::shared(version).await.unwrap();
        let session =
            server.connect(server.superuser(), server.superuser_password(), "postgres").await.unwrap();
        for conforming in ["on", "off"] {
            let setting = format!("SET standard_conforming_strings TO {conforming}");
            session.batch_execute(&setting).await.unwrap();
            for text in &texts {
                let name: String = text
                    .chars()
                    .scan(0, |length, letter| {
                        *length += letter.len_utf8();
                        (*length <= NAME).then_some(letter)
                    })
                    .collect();
                let sql = format!("SELECT {} AS {}", literal(text), identifier(&name));
                let rows = session.simple_query(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
                let row = rows.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                let row = row.unwrap();
                assert_eq!(
                    (row.get(0), row.columns()[0].name()),
                    (Some(text.as_str()), name.as_str()),
                    "{sql}"
                );
            }
        }
    }
}
