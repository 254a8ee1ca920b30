//! PostgreSQL's messages as a fake server sends them (its manual, "Message Formats").

/// A message: its type, and its content.
pub fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).expect("a test's message is small");
    [&[kind], &length.to_be_bytes()[..], content].concat()
}

/// An authentication message: its code, and the content that belongs to the code.
pub fn authentication(code: u32, content: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes()[..], content].concat())
}
