//! MySQL's packets as a fake server sends them (MySQL source documentation, "Client/Server Protocol").

/// A packet: its number, which both sides count, and its content.
pub fn packet(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a test's packet is small").to_le_bytes();
    [&length[..3], &[number], content].concat()
}

/// A server's first packet (Protocol::HandshakeV10): its version, its authentication plugin, and whether it offers TLS.
pub fn greeting(version: &str, plugin: &str, tls: bool) -> Vec<u8> {
    // CLIENT_LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, RESERVED2, MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH;
    // CLIENT_SSL is 0x800.
    let capabilities: u32 = 0x000b_a209 | if tls { 0x800 } else { 0 };
    let [a, b, c, d] = capabilities.to_le_bytes();
    let content = [
        b"\x0a",
        version.as_bytes(),
        b"\0\x01\0\0\0salt1234\0",
        &[a, b, 45, 2, 0, c, d, 21],
        &[0; 10],
        b"salt56789012\0",
        plugin.as_bytes(),
        b"\0",
    ];
    packet(0, &content.concat())
}

/// The server asks for another authentication plugin, with this salt (Protocol::AuthSwitchRequest).
pub fn switch(number: u8, plugin: &str, salt: &[u8]) -> Vec<u8> {
    packet(number, &[b"\xfe", plugin.as_bytes(), b"\0", salt].concat())
}

/// The packet for success.
pub fn ok(number: u8) -> Vec<u8> {
    packet(number, &[0, 0, 0, 2, 0, 0, 0])
}

/// The answer to a query: one row of texts.
pub fn row(texts: &[&str]) -> Vec<u8> {
    let count = u8::try_from(texts.len()).expect("a test's row is short");
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("a test's text is short");
        [&[length], text.as_bytes()].concat()
    };
    let end = |number| packet(number, &[0xfe, 0, 0, 2, 0]);
    let mut answer = packet(1, &[count]);
    for number in 0..count {
        answer.extend(column(number + 2));
    }
    answer.extend(end(count + 2));
    answer.extend(packet(count + 3, &texts.iter().flat_map(|each| text(each)).collect::<Vec<_>>()));
    answer.extend(end(count + 4));
    answer
}

/// The packet that describes a column, before the rows.
pub fn column(number: u8) -> Vec<u8> {
    packet(number, b"\x03def\0\0\0\x01x\0\x0c\x2d\0\0\x01\0\0\xfd\0\0\0\0\0")
}
