//! A whole rotation in twenty lines: a lab, a secret, a function, and what became of the labels.

use std::sync::Arc;

use lab::rotation::InvokeError;
use lab::{Lab, Options};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lab = Lab::start(Options::default()).await?;
    let secrets = lab.secrets();
    secrets.create("prod/db", r#"{"password": "first"}"#)?;
    let function = move |event: Value| {
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        let (id, token) = (text("SecretId"), text("ClientRequestToken"));
        let done = match text("Step").as_str() {
            "createSecret" => secrets.put(&id, &token, r#"{"password": "second"}"#, &["AWSPENDING"]),
            "finishSecret" => secrets.move_label(&id, "AWSCURRENT", Some(&token)),
            _ => Ok(()),
        };
        async { done.map_err(InvokeError::from).map(|()| json!(null)) }
    };
    lab.attach("rotate", Arc::new(function));
    lab.secrets().enable_rotation("prod/db", "rotate")?;
    let rotation = lab.rotate("prod/db").await?;
    assert!(rotation.succeeded());
    assert_eq!(lab.secrets().value("prod/db", "AWSCURRENT").as_deref(), Some(r#"{"password": "second"}"#));
    Ok(())
}
