//! The recorded facts of `tests/facts`, against the lab over HTTP. `cargo xtask aws --facts` asks the real service the same.

use std::path::Path;
use std::process::Stdio;

use lab::Lab;
use tokio::process::Command;

#[tokio::test]
async fn every_recorded_fact_holds_in_the_lab() {
    let Some(python) = lab::servers::python_clients().await else { return };
    let lab = Lab::start(Default::default()).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/run.py");
    let mut command = Command::new(python);
    command.arg(script).args(["--endpoint", &lab.endpoint()]).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    println!("{}", text(&output.stdout));
}

#[test]
fn the_page_names_every_test_of_motos_that_differs_and_the_number_of_facts() {
    let read = |path: &str| {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::fs::read_to_string(top.join(path)).unwrap()
    };
    let page = read("docs/lab.md");
    let suite: toml::Table = read("tests/suites/moto.toml").parse().unwrap();
    let mut listed = 0;
    for entry in suite["differs"].as_array().unwrap() {
        for test in entry["tests"].as_array().unwrap() {
            let test = test.as_str().unwrap();
            assert!(page.contains(&format!("`{test}`")), "docs/lab.md does not name {test}");
            listed += 1;
        }
    }
    assert!(page.contains(&format!("other {listed} have to fail")), "{listed} tests differ");
    let facts: toml::Table = read("lab/tests/facts/facts.toml").parse().unwrap();
    let facts = facts["fact"].as_array().unwrap();
    assert!(page.contains(&format!("lists {} facts", facts.len())), "there are {} facts", facts.len());
}
