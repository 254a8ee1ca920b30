//! The event. The function understands it, or refuses it in words that cannot forge a log line. Unknown keys change nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rotation::door::event::{self, Event};
use rotation::error::Kind;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut event) = serde_json::from_slice::<Value>(bytes) else { return };
    let told = tell(&event);
    if let Value::Object(fields) = &mut event
        && fields.insert("Another".to_owned(), Value::from(7)).is_none()
    {
        assert_eq!(tell(&event), told, "a key that nobody knows changed what was understood");
    }
});

/// A line about the event.
fn tell(event: &Value) -> String {
    match event::parse(event) {
        Ok(Event::Rotate(request)) => {
            let step = request.step.map_or_else(|unknown| unknown, |step| step.name().to_owned());
            for text in [&request.secret, &request.token, &step] {
                assert!(is_plain(text), "{text:?} could forge a line of the log");
            }
            assert!(request.rotation_token.is_none_or(|token| !token.is_empty()));
            format!("{step} of {} for {}", request.token, request.secret)
        }
        Ok(Event::Diagnose(examination)) => {
            assert!(event["Step"] == "diagnose" && is_plain(&examination.secret));
            format!("look at {} for {:?}", examination.secret, examination.checks)
        }
        Ok(Event::Inspect(file)) => {
            assert_eq!((&event["Step"], &event["Provider"]), (&"diagnose".into(), &file.as_str().into()));
            format!("inspect {file}")
        }
        Err(error) => {
            assert!(error.kind() == Kind::BadEvent && is_plain(&error.report()), "{}", error.report());
            error.report()
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}
