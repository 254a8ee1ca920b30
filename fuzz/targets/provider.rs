//! A provider file, and the values of a secret in its requests. Either the file is refused with a line, or every request goes to
//! the file's target with the file's content, whatever the values contain. The file ends at the first NUL; the values follow.

#![no_main]

use std::time::SystemTime;

use http::header::HOST;
use libfuzzer_sys::fuzz_target;
use rotate_api_key::provider::Provider;
use rotate_api_key::provider::schema::{Call, Origin};
use rotate_api_key::provider::template::Part;
use rotate_api_key::statement::{self, Values};
use rotation::secret::Secret;
use rotation::value::document::Fields;

fuzz_target!(|text: &str| {
    let (file, value) = text.split_once('\0').unwrap_or((text, "../a b/?x=%2f\r\nX-Admin: yes&"));
    match Provider::read(file) {
        Ok(provider) => {
            assert!(!provider.describe().contains('\n'));
            for call in provider.each_call() {
                ask(&provider, call, value);
            }
        }
        Err(problem) => {
            assert!(!problem.what.is_empty());
            let lines = file.split('\n').count();
            assert!((1..=lines).contains(&problem.line), "line {} of {lines}", problem.line);
        }
    }
});

/// Makes a request in which every variable has this value, and checks its target.
fn ask(provider: &Provider, call: &Call, value: &str) {
    let mut fields = Fields::empty();
    let shape = &provider.secret;
    let names = shape.fields.iter().chain(&shape.hidden).chain(&shape.admin).chain(&shape.id);
    names.chain([shape.key.get_ref()]).for_each(|name| fields.put(name, value));
    let secret = Secret::new(value.to_owned());
    let elsewhere = Origin { https: true, host: "service.example".to_owned(), port: 443 };
    let origin = provider.server(call, None).unwrap_or(&elsewhere);
    let values = Values {
        fields: &fields,
        key: &secret,
        admin: &fields,
        access: Some(&secret),
        id: Some(value),
        label: value,
        prefix: value,
        token: value,
        account: value,
        page: 7,
        cursor: value,
        now: SystemTime::UNIX_EPOCH,
    };
    let Ok(request) = statement::request(provider, call, origin, &values) else { return };
    assert_eq!(request.method(), call.method);
    let uri = request.uri();
    assert!(uri.scheme().is_none() && uri.authority().is_none() && uri.path().starts_with('/'), "{uri}");
    let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
    assert!(hosts.len() == 1 && hosts[0].as_bytes() == origin.authority().as_bytes(), "{hosts:?}");
    for (name, value) in request.headers() {
        assert!(value.as_bytes().iter().all(|byte| (0x20..=0x7e).contains(byte)), "{name}: {value:?}");
    }
    let literal: Vec<&str> = call
        .path
        .get_ref()
        .parts()
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Variable(..) => None,
        })
        .collect();
    let literal = literal.concat();
    if !literal.contains(['?', '#']) {
        let slashes = |text: &str| text.matches('/').count();
        assert_eq!(slashes(uri.path()), slashes(&literal), "{uri} has other segments than {literal}");
    }
}
